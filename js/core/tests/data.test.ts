// Folding frames into a job, and the machine's readings into gauges.
import { describe, expect, test } from "vitest";
import { JobStore, keepReading } from "../src/data/store";
import { gaugeGroups } from "../src/data/gauges";
import { stripPath } from "../src/view/gauges";
import type { Frame } from "../src/wire/frames";
import type { System } from "../src/wire/protocol";

describe("the store", () => {
  const steps = (store: JobStore): number[] => store.series.get("loss")!.main.buckets.map(({ x0 }) => x0);
  const points = (seq: number, step: number): Frame => ({ type: "points", seq, series: { loss: { step: [step], time: [0], value: [1] } } });

  test("points sent twice are taken once", () => {
    const store = new JobStore("job_1");
    for (const frame of [points(3, 1), points(3, 1), points(2, 9), points(5, 2)]) store.apply(frame, 0);
    expect(steps(store)).toEqual([1, 2]);
    expect(store.points_seq).toBe(5);
  });

  test("a state frame does not make points look old", () => {
    const store = new JobStore("job_1");
    store.apply({ type: "state", seq: 50, job: { status: "running" } }, 0);
    store.apply(points(40, 1), 0);
    expect(steps(store)).toEqual([1]);
  });

  test("a state frame changes what it names and nothing else", () => {
    const store = new JobStore("job_1", "demo");
    store.apply({ type: "hello", seq: 1, job: { job_id: "job_1", name: "demo", status: "queued", total_steps: 10 } }, 0);
    store.apply({ type: "state", seq: 2, job: { status: "running" } }, 0);
    expect(store.job).toEqual({ job_id: "job_1", name: "demo", status: "running", total_steps: 10 });
  });

  test("the closing message's nulls erase nothing", () => {
    const store = new JobStore("job_1");
    store.apply({ type: "state", seq: 2, job: { eval_loss: 2, error: "out of memory" } }, 0);
    store.apply({ type: "end", seq: 3, message: { status: "failed", error: null, eval_loss: null, completed_at: "2026-01-01T00:00:00Z" } }, 0);
    expect(store.job).toMatchObject({ status: "failed", error: "out of memory", eval_loss: 2, ended_at: "2026-01-01T00:00:00Z" });
  });

  test("the machine's readings are not a finished job's any more", () => {
    const store = new JobStore("job_1");
    store.apply({ type: "end", seq: 3, message: { status: "completed" } }, 0);
    store.apply({ type: "gauges", system: { gpus: [] } }, 0);
    expect(store.system).toBeNull();
  });
});

describe("gauges", () => {
  const system: System = {
    gpus: [{ index: 0, name: "NVIDIA GeForce RTX 4090", utilization_percent: 0, memory_used_gb: 23, memory_total_gb: 24, power_watts: null }],
    host: { cpu_percent: 34.4, cpu_count: 16, memory_used_gb: 41.2, memory_total_gb: 128 },
  };

  test("unknown is a dash, zero is zero", () => {
    const [gpu] = gaugeGroups(system, "job");
    expect(gpu!.detail).toBe("RTX 4090");
    expect(gpu!.gauges.map((gauge) => gauge.text.replaceAll("\u00a0", " "))).toEqual(["0 %", "23.0 / 24.0 GB", "–", "–"]);
    expect(gpu!.gauges.map((gauge) => gauge.fraction)).toEqual([0, 23 / 24, null, null]);
    expect(gpu!.gauges[1]!.warning).toBe("nearly full");
  });

  test("who uses a GPU stands beside its name, and the job's own is said to be", () => {
    const gpus = [
      { index: 0, uuid: "a", name: "NVIDIA GeForce RTX 4090", used_by: "job docs-sft" },
      { index: 1, uuid: "b", name: "NVIDIA L4", used_by: "python of alice (pid 1234)" },
      { index: 2, uuid: "c", name: "NVIDIA L4", used_by: null },
    ];
    const details = (scope: "job" | "overview", leased?: string[]): string[] => gaugeGroups({ gpus }, scope, leased ? { job_id: "job_1", gpus: leased } : null).map(({ detail, user }) => [detail, user].filter(Boolean).join(" · "));
    expect(details("job", ["a"]).slice(0, 3)).toEqual(["RTX 4090 · this job", "L4 · python of alice (pid 1234)", "L4"]);
    expect(details("job")[0]).toBe("RTX 4090 · job docs-sft");
    expect(details("overview").slice(0, 3)).toEqual(["docs-sft", "python of alice (pid 1234)", "L4"]);
  });

  test("the job's own part of a GPU is known from what all of it use", () => {
    const jobs = [
      { job_id: "job_2", name: "other", memory_used_gb: 2, utilization_percent: null },
      { job_id: "job_1", name: "mine", memory_used_gb: 6, utilization_percent: 40 },
    ];
    const gpus = [{ index: 0, uuid: "a", name: "NVIDIA L4", utilization_percent: 90, memory_used_gb: 8, memory_total_gb: 24, jobs }];
    const [gpu, host] = gaugeGroups({ gpus, host: {} }, "job", { job_id: "job_1", gpus: ["a"] });
    expect([gpu!.detail, gpu!.user]).toEqual(["L4", "this job 6.0\u00a0GB"]);
    expect(gpu!.held).toBe(true);
    expect(gpu!.gauges.map(({ own }) => own?.fraction ?? null)).toEqual([0.4, 0.25, null, null]);
    expect(gpu!.gauges[1]!.own!.text).toBe("this job 6.0\u00a0GB");
    expect(host!.gauges.map(({ own }) => own)).toEqual([null, null]);
    expect(gaugeGroups({ gpus }, "job", { job_id: "job_3", gpus: [] })[0]!.gauges[1]!.own).toBeNull();
  });

  test("without a GPU the host stands alone", () => {
    expect(gaugeGroups({ ...system, gpus: [] }, "job").map((group) => group.title)).toEqual(["CPU and memory"]);
    expect(gaugeGroups(null, "job")[0]!.gauges.map((gauge) => gauge.text)).toEqual(["–", "–"]);
    expect(gaugeGroups(system, "overview").map((group) => group.gauges.length)).toEqual([2, 2]);
  });

  test("the strip fills from the right and shows gaps", () => {
    expect(stripPath([])).toBe("");
    const path = stripPath([0.5, null, 1]);
    expect(path.match(/Z/g)).toHaveLength(2);
    expect(path.startsWith("M97.5 10")).toBe(true);
  });

  test("a reading that brings its past fills the history at once", () => {
    const history: System[] = [];
    keepReading(history, { host: { cpu_percent: 3 }, history: [{ host: { cpu_percent: 2 } }, { host: { cpu_percent: 3 } }] });
    keepReading(history, { host: { cpu_percent: 4 } });
    expect(history.map((reading) => reading.host?.cpu_percent)).toEqual([2, 3, 4]);
  });
});
