/* A stand-in for NVIDIA's libnvidia-ml.so.1: two GPUs behind the part of NVML's C interface that we use.
 *
 * The real pynvml loads it, so what is tested is the real binding. The second GPU has no power readings.
 * Each setting is the line NAME=value of the file $NVML_FAKE_FILE, which is read anew at every call and so can
 * change under a running server, or else the environment variable NVML_FAKE_NAME:
 *
 *   COUNT   how many GPUs there are, 0 to 2; default 2
 *   ERRORS  which calls fail with which NVML code: "init=9", "1:handle=15,0:power=3", "1:*=15"
 *   BLOCK   a call that blocks for as long as this setting names it, but a minute at most: "utilization"
 *   PROCESSES, GRAPHICS  who computes and who draws, gpu:pid:GiB each, with "?" for memory that is not told:
 *           "0:1234:2.5,1:77:1"
 *   BUSY    what each process did lately, gpu:pid:percent, as "0:1234:40"; not supported while it is not set
 *   USED    GiB of memory in use on each GPU; default 6 and 2
 *   VARY    any value: the gauges move from one reading to the next
 *   LOG     a file that gets the name of each call, a line each
 *
 * Calls are named init, shutdown, count, handle, name, uuid, utilization, memory, memory_v2, temperature,
 * temperature_v, power, power_limit, processes, processes_v2, graphics, graphics_v2, busy. Codes: 3 not supported,
 * 6 not found, 9 no driver, 13 no such function, 15 GPU lost.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define GIB (1ULL << 30)
#define BLOCK_AT_MOST_MS 60000
#define NOT_TOLD (~0ULL)
#define NO_INSTANCE (~0U)

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { NO_DEVICE = -1 };

typedef struct { int index; } Device;
typedef struct { unsigned int gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned int version, sensor; int celsius; } TemperatureV1;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } Process;
typedef struct { unsigned int pid; unsigned long long time; unsigned int sm, memory, encoder, decoder; } Busy;

static Device devices[2] = {{0}, {1}};
static const char *names[2] = {"Pretend GeForce 24G", "Pretend Tesla 8G"};
static const char *uuids[2] = {"GPU-00000000-aaaa-bbbb-cccc-000000000000", "GPU-11111111-aaaa-bbbb-cccc-111111111111"};
static const unsigned int utilizations[2] = {37, 80}, temperatures[2] = {61, 45};
static const unsigned long long totals[2] = {24 * GIB, 8 * GIB}, useds[2] = {6 * GIB, 2 * GIB}, reserved = GIB / 2;
static int initialized = 0, readings = 0;

/* The setting's value in `value`, and whether it is set at all. */
static int setting(const char *name, char *value, size_t size)
{
    char line[512];
    size_t length = strlen(name);
    const char *path = getenv("NVML_FAKE_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            line[strcspn(line, "\r\n")] = '\0';
            snprintf(value, size, "%s", line + length + 1);
            fclose(file);
            return 1;
        }
    }
    if (file)
        fclose(file);
    snprintf(line, sizeof line, "NVML_FAKE_%s", name);
    const char *set = getenv(line);
    snprintf(value, size, "%s", set ? set : "");
    return set != NULL;
}

static unsigned long long used(const Device *device)
{
    char value[32];
    return setting("USED", value, sizeof value) ? (unsigned long long)(atof(value) * GIB) : useds[device->index];
}

static int device_count(void)
{
    char value[16];
    int count = setting("COUNT", value, sizeof value) ? atoi(value) : 2;
    return count < 0 ? 0 : count > 2 ? 2 : count;
}

static void note(const char *call)
{
    char path[512];
    FILE *file = setting("LOG", path, sizeof path) ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", call);
        fclose(file);
    }
}

static void block(const char *call)
{
    char value[64];
    struct timespec pause = {0, 5 * 1000 * 1000};
    for (int waited = 0; waited < BLOCK_AT_MOST_MS; waited += 5) {
        if (!setting("BLOCK", value, sizeof value) || strcmp(value, call) != 0)
            return;
        nanosleep(&pause, NULL);
    }
}

static int error_for(const char *call, int device)
{
    char value[512], *rest = NULL;
    setting("ERRORS", value, sizeof value);
    for (char *item = strtok_r(value, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        char *code = strchr(item, '='), *colon = strchr(item, ':');
        if (!code)
            continue;
        *code = '\0';
        const char *what = colon ? colon + 1 : item;
        int concerned = !colon || atoi(item) == device;
        if (concerned && (strcmp(what, call) == 0 || (colon && strcmp(what, "*") == 0)))
            return atoi(code + 1);
    }
    return SUCCESS;
}

/* What every call does first. Returns the code to fail with, or SUCCESS. */
static int enter(const char *call, const Device *device, int on_device)
{
    note(call);
    block(call);
    if (!initialized)
        return UNINITIALIZED;
    if (on_device && (device == NULL || device->index >= device_count()))
        return INVALID_ARGUMENT;
    return error_for(call, on_device ? device->index : NO_DEVICE);
}

/* A factor between 0.5 and 1 that goes up and down in twenty readings, apart for each GPU; 1 while not varying. */
static double swing(int index)
{
    char value[16];
    if (!setting("VARY", value, sizeof value))
        return 1.0;
    return 0.75 + 0.25 * sin(readings * 0.314159265 + index);
}

EXPORT int nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    note("init");
    block("init");
    int error = error_for("init", NO_DEVICE);
    if (error == SUCCESS)
        initialized++;
    return error;
}

EXPORT int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

EXPORT int nvmlShutdown(void)
{
    int error = enter("shutdown", NULL, 0);
    if (error == SUCCESS)
        initialized--;
    return error;
}

EXPORT const char *nvmlErrorString(int result)
{
    return result == SUCCESS ? "Success" : "Failed, as the test wished";
}

EXPORT int nvmlDeviceGetCount_v2(unsigned int *count)
{
    int error = enter("count", NULL, 0);
    readings++;
    if (error == SUCCESS)
        *count = device_count();
    return error;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Device **device)
{
    if (index > 1)
        return INVALID_ARGUMENT;
    int error = enter("handle", &devices[index], 1);
    if (error == SUCCESS)
        *device = &devices[index];
    return error;
}

static int give_text(const char *call, Device *device, const char **texts, char *text, unsigned int length)
{
    int error = enter(call, device, 1);
    if (error != SUCCESS)
        return error;
    if (strlen(texts[device->index]) >= length)
        return INSUFFICIENT_SIZE;
    strcpy(text, texts[device->index]);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetName(Device *device, char *name, unsigned int length)
{
    return give_text("name", device, names, name, length);
}

EXPORT int nvmlDeviceGetUUID(Device *device, char *uuid, unsigned int length)
{
    return give_text("uuid", device, uuids, uuid, length);
}

EXPORT int nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates)
{
    int error = enter("utilization", device, 1);
    if (error != SUCCESS)
        return error;
    rates->gpu = (unsigned int)(utilizations[device->index] * swing(device->index));
    rates->memory = 12;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory)
{
    int error = enter("memory", device, 1);
    if (error != SUCCESS)
        return error;
    memory->total = totals[device->index];
    memory->used = (unsigned long long)(used(device) * swing(device->index)) + reserved;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryInfo_v2(Device *device, MemoryV2 *memory)
{
    int error = enter("memory_v2", device, 1);
    if (error != SUCCESS)
        return error;
    if (memory->version != (sizeof(MemoryV2) | 2 << 24))
        return INVALID_ARGUMENT;
    memory->total = totals[device->index];
    memory->reserved = reserved;
    memory->used = (unsigned long long)(used(device) * swing(device->index));
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned int *celsius)
{
    int error = enter("temperature", device, 1);
    if (error != SUCCESS)
        return error;
    if (sensor != 0)
        return INVALID_ARGUMENT;
    *celsius = (unsigned int)(temperatures[device->index] * swing(device->index));
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTemperatureV(Device *device, TemperatureV1 *temperature)
{
    int error = enter("temperature_v", device, 1);
    if (error != SUCCESS)
        return error;
    if (temperature->version != (sizeof(TemperatureV1) | 1 << 24) || temperature->sensor != 0)
        return INVALID_ARGUMENT;
    temperature->celsius = (int)(temperatures[device->index] * swing(device->index));
    return SUCCESS;
}

static int give_power(const char *call, Device *device, unsigned int value, unsigned int *milliwatts)
{
    int error = enter(call, device, 1);
    if (error != SUCCESS)
        return error;
    if (device->index == 1)
        return NOT_SUPPORTED;
    *milliwatts = value;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetPowerUsage(Device *device, unsigned int *milliwatts)
{
    return give_power("power", device, (unsigned int)(215500 * swing(0)), milliwatts);
}

EXPORT int nvmlDeviceGetEnforcedPowerLimit(Device *device, unsigned int *milliwatts)
{
    return give_power("power_limit", device, 450000, milliwatts);
}

/* As many as fit into `count`; where that is too few, `count` says how many there are. */
static int list_processes(const char *call, const char *name, Device *device, unsigned int *count, Process *processes)
{
    int error = enter(call, device, 1);
    if (error != SUCCESS)
        return error;
    char value[512], memory[32], *rest = NULL;
    unsigned int pid, found = 0, room = *count;
    int index;
    setting(name, value, sizeof value);
    for (char *item = strtok_r(value, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        if (sscanf(item, "%d:%u:%31s", &index, &pid, memory) != 3 || index != device->index)
            continue;
        if (found < room) {
            unsigned long long used = *memory == '?' ? NOT_TOLD : (unsigned long long)(atof(memory) * GIB);
            processes[found] = (Process){pid, used, NO_INSTANCE, NO_INSTANCE};
        }
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned int *count, Process *processes)
{
    return list_processes("processes", "PROCESSES", device, count, processes);
}

EXPORT int nvmlDeviceGetComputeRunningProcesses_v2(Device *device, unsigned int *count, Process *processes)
{
    return list_processes("processes_v2", "PROCESSES", device, count, processes);
}

EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *device, unsigned int *count, Process *processes)
{
    return list_processes("graphics", "GRAPHICS", device, count, processes);
}

EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v2(Device *device, unsigned int *count, Process *processes)
{
    return list_processes("graphics_v2", "GRAPHICS", device, count, processes);
}

/* An older sample of each process comes behind its latest one, and says 99. */
EXPORT int nvmlDeviceGetProcessUtilization(Device *device, Busy *samples, unsigned int *count, unsigned long long since)
{
    int error = enter("busy", device, 1);
    if (error != SUCCESS)
        return error;
    char value[512], *rest = NULL;
    unsigned int pid, percent, found = 0, room = samples ? *count : 0;
    int index;
    if (!setting("BUSY", value, sizeof value))
        return NOT_SUPPORTED;
    for (char *item = strtok_r(value, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        if (sscanf(item, "%d:%u:%u", &index, &pid, &percent) != 3 || index != device->index)
            continue;
        if (found + 2 <= room) {
            samples[found] = (Busy){pid, since + 2, percent, 1, 0, 0};
            samples[found + 1] = (Busy){pid, since + 1, 99, 1, 0, 0};
        }
        found += 2;
    }
    *count = found;
    return found == 0 ? NOT_FOUND : found > room ? INSUFFICIENT_SIZE : SUCCESS;
}
