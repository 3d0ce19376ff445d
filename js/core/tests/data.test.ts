// Folding frames into a job, and making series fit to draw.
import { describe, expect, test } from "vitest";
import { Series, drawable, joined, takeIn } from "../src/data/series";
import { JobStore, keepReading } from "../src/data/store";
import { gaugeGroups } from "../src/data/gauges";
import { paddedRange } from "../src/chart/plot";
import { stripPath } from "../src/view/gauges";
import type { Frame, System, WireNumber } from "../src/wire/protocol";

function series(name: string, steps: number[], values: WireNumber[]): Series {
  const made = new Series(name);
  made.append({ step: steps, time: steps, value: values });
  return made;
}

describe("a series", () => {
  test("what is not finite becomes a gap, and the newest value keeps its name", () => {
    expect([1, "nan", "inf", "-inf", null, undefined].map((value) => drawable(value as WireNumber))).toEqual([1, null, null, null, null, null]);
    const loss = series("loss", [1, 2, 3], [2, 1.5, "nan"]);
    expect(loss.values).toEqual([2, 1.5, null]);
    expect(loss.last).toBe("nan");
  });

  test("a step seen again replaces what stood there, and order stays", () => {
    const loss = series("loss", [10, 20, 30], [3, 2, 1]);
    loss.append({ step: [20, 25], time: [0, 0], value: [2.5, 2.2] });
    expect(loss.steps).toEqual([10, 20, 25, 30]);
    expect(loss.values).toEqual([3, 2.5, 2.2, 1]);
  });

  const column = (...points: [step: number, time: number, value: number][]): { step: number[]; time: number[]; value: number[] } => ({
    step: points.map((point) => point[0]),
    time: points.map((point) => point[1]),
    value: points.map((point) => point[2]),
  });

  test("a resumed run undoes what is behind its checkpoint, in every series", () => {
    const all = new Map<string, Series>();
    takeIn(all, { loss: column([1, 1, 5], [2, 2, 4], [3, 3, 3]), eval_loss: column([3, 3, 3.5]) }, true);
    takeIn(all, { loss: column([2, 9, 4.5]) }, true);
    expect(all.get("loss")!.steps).toEqual([1, 2]);
    expect(all.get("loss")!.values).toEqual([5, 4.5]);
    expect(all.get("eval_loss")!.steps).toEqual([]);
  });

  test("one frame of history may hold the end of one attempt and the beginning of the next", () => {
    const all = new Map<string, Series>();
    const loss = column([1, 1, 5], [2, 2, 4], [3, 3, 3], [4, 4, 2], [2, 9, 4.5], [3, 10, 3.5], [5, 12, 1.5]);
    takeIn(all, { eval_loss: column([4, 4, 9], [3, 11, 8]), loss }, true);
    expect(all.get("loss")!.steps).toEqual([1, 2, 3, 5]);
    expect(all.get("loss")!.values).toEqual([5, 4.5, 3.5, 1.5]);
    expect(all.get("eval_loss")!.values).toEqual([8]);
  });

  test("code that counts its steps anew, never resumed, loses none of its points", () => {
    const all = new Map<string, Series>();
    takeIn(all, { loss: column([1, 1, 5], [2, 2, 4], [0, 3, 1]) }, false);
    expect(all.get("loss")!.steps).toEqual([0, 1, 2]);
  });

  test("the value in force at a step is the last one before it", () => {
    const loss = series("eval_loss", [10, 20], [3, 2]);
    expect([5, 10, 19, 20, 99].map((step) => loss.indexAt(step))).toEqual([-1, 0, 0, 1, 1]);
  });

  test("joining tells a missing point (no gap) from a NaN (a gap)", () => {
    const table = joined([series("loss", [1, 2, 3], [3, "nan", 1]), series("eval_loss", [2, 4], [2.5, 2])]);
    expect(table).toEqual({ x: [1, 2, 3, 4], ys: [[3, null, 1, undefined], [undefined, 2.5, undefined, 2]] });
    expect(joined([series("a", [], []), series("b", [], [])])).toEqual({ x: [], ys: [[], []] });
  });

  test("a scale starts at zero where zero is near, and a flat line has room", () => {
    expect(paddedRange(1, 5).min).toBe(0);
    expect(paddedRange(4, 5).min).toBeGreaterThan(3.9);
    expect(paddedRange(2, 2)).toEqual({ min: 1, max: 3 });
    expect(paddedRange(Infinity, -Infinity)).toEqual({ min: 0, max: 1 });
  });
});

describe("the store", () => {
  const points = (seq: number, step: number): Frame => ({ type: "points", seq, series: { loss: { step: [step], time: [0], value: [1] } } });

  test("points sent twice are taken once", () => {
    const store = new JobStore("job_1");
    for (const frame of [points(3, 1), points(3, 1), points(2, 9), points(5, 2)]) store.apply(frame, 0);
    expect(store.series.get("loss")!.steps).toEqual([1, 2]);
    expect(store.points_seq).toBe(5);
  });

  test("a state frame does not make points look old", () => {
    const store = new JobStore("job_1");
    store.apply({ type: "state", seq: 50, job: { status: "running" } }, 0);
    store.apply(points(40, 1), 0);
    expect(store.series.get("loss")!.steps).toEqual([1]);
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
    const details = (scope: "job" | "overview", leased?: string[]): string[] => gaugeGroups({ gpus }, scope, leased).map((group) => group.detail);
    expect(details("job", ["a"]).slice(0, 3)).toEqual(["RTX 4090 · this job", "L4 · python of alice (pid 1234)", "L4"]);
    expect(details("job")[0]).toBe("RTX 4090 · job docs-sft");
    expect(details("overview").slice(0, 3)).toEqual(["docs-sft", "python of alice (pid 1234)", "L4"]);
  });

  test("without a GPU the host stands in", () => {
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
