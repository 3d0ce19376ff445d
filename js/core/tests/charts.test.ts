// Which charts there are and where they stand, what sets jobs apart, and what is kept and saved of them.
import { expect, test } from "vitest";
import { Series } from "../src/data/series";
import { trendOf } from "../src/data/trend";
import { differences } from "../src/view/differences";
import { csv, fileName, stacked } from "../src/view/export";
import { groupOf, isMinor, lossNames, matches, overviewNames } from "../src/view/groups";
import { keepPreferences, readPreferences } from "../src/view/preferences";
import { labels, Slots } from "../src/view/slots";
import { positionOf, weightAt } from "../src/view/toolbar";

test("a series is in the group that its name speaks of, whichever library named it", () => {
  const groups = { train: ["loss", "train_loss", "train/accuracy", "entropy"], eval: ["eval_loss", "val/acc", "eval_accuracy"], optimizer: ["learning_rate", "lr-AdamW", "grad_norm"], system: ["step_time_seconds", "eval_runtime", "gpu_memory_allocated_gb"], own: ["rewards/margins", "valuable", "__proto__"] };
  for (const [group, names] of Object.entries(groups)) for (const name of names) expect([name, groupOf(name)]).toEqual([name, group]);
});

test("the losses are found under their names, and what is logged once at the end is minor", () => {
  const has = (...names: string[]) => (name: string) => names.includes(name);
  expect(lossNames(has("val_loss", "train_loss", "lr"))).toEqual(["train_loss", "val_loss"]);
  expect(overviewNames(has("lr", "step_time"))).toEqual(["lr", "grad_norm", "step_time"]);
  expect(isMinor("train_loss", has("loss"))).toBe(true);
  expect(isMinor("train_loss", has())).toBe(false);
  expect(isMinor("epoch", has())).toBe(true);
});

test("a chart is found by any words of its name", () => {
  expect(matches("layers.3/grad_norm", "norm GRAD")).toBe(true);
  expect(matches("layers.3/grad_norm", "grad norm")).toBe(true);
  expect(matches("layers.3/grad_norm", "loss")).toBe(false);
});

test("the slider is even in powers of ten, and goes back to where it was", () => {
  expect(weightAt(0)).toBe(0);
  expect(weightAt(1 / 3)).toBeCloseTo(0.9);
  expect(weightAt(1)).toBeCloseTo(0.999);
  for (const position of [0, 0.25, 0.5, 1]) expect(positionOf(weightAt(position))).toBeCloseTo(position);
});

test("a trend is told only where it is clear", () => {
  const of = (value: (k: number) => number): string | null => {
    const series = new Series("x");
    const steps = Array.from({ length: 80 }, (_, k) => k);
    series.append({ step: steps, time: steps, value: steps.map(value) });
    return trendOf(series.main.buckets);
  };
  expect(of((k) => 100 - k)).toBe("falling");
  expect(of((k) => k + (k % 3))).toBe("rising");
  expect(of((k) => k % 2)).toBe("level");
  expect(of(() => 1)).toBe("level");
  expect(trendOf([])).toBeNull();
});

test("a job keeps its colour while others come and go, and the free one is given next", () => {
  const slots = new Slots();
  expect(["a", "b", "c"].map((job) => slots.take(job))).toEqual(["--tl-job-1", "--tl-job-2", "--tl-job-3"]);
  slots.free("b");
  expect([slots.take("c"), slots.take("d"), slots.take("e")]).toEqual(["--tl-job-3", "--tl-job-2", "--tl-job-4"]);
});

test("jobs of one name are told apart by their ids", () => {
  expect(labels([{ job_id: "job_0001", name: "a" }, { job_id: "job_0002", name: "a" }, { job_id: "job_0003" }])).toEqual(["a (0001)", "a (0002)", "job_0003"]);
});

test("only what differs is listed, nested settings by their path, and what is not known says nothing", () => {
  const one = { name: "a", kind: "finetune", parameters: { learning_rate: 1e-4, lora: { r: 8 }, "a.b": 1 } };
  const two = { name: "b", kind: "finetune", parameters: { learning_rate: 1e-4, lora: { r: 16 } } };
  expect(differences([one, two, null])).toEqual([
    { name: "lora.r", values: ["8", "16", null] },
    { name: "a.b", values: ["1", null, null] },
  ]);
  expect(differences([one, one])).toEqual([]);
});

test("what is kept comes back, and what is garbled or another's is passed over", () => {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) } as Storage;
  keepPreferences(storage, { axis: "clock", hidden: new Map([["__proto__", true]]) });
  keepPreferences(storage, { smoothing: 0.9 });
  expect(readPreferences(storage)).toMatchObject({ axis: "clock", smoothing: 0.9, hidden: new Map([["__proto__", true]]) });
  for (const text of ["{", "null", '{"axis":"mass","smoothing":2,"hidden":{"a":1},"pinned":[["a"],["b",1]]}']) {
    kept.set("jupyter_trainlive", text);
    expect(readPreferences(storage)).toMatchObject({ axis: "step", smoothing: 0, hidden: new Map(), pinned: new Map() });
  }
  expect(readPreferences(null).axis).toBe("step");
});

test("a table is saved as it is, and no cell is a formula", () => {
  expect(csv(["step", 'a "b"'], [["1", "-0.5"], ["2", "=SUM(A1)"], ["3", "-inf"], ["4", "@x,y"]])).toBe('step,"a ""b"""\r\n1,-0.5\r\n2,\'=SUM(A1)\r\n3,-inf\r\n4,"\'@x,y"\r\n');
});

test("a file's name has nothing of a path, whatever the job is called", () => {
  expect(fileName("../../<b>", "loss/eval.png")).toBe("b-loss-eval.png");
  expect(fileName("学習 1", "")).toBe("学習-1");
  expect(fileName("///")).toBe("curves");
});

test("pictures are stacked by their heights", () => {
  const picture = (height: number): string => `<svg xmlns="http://www.w3.org/2000/svg" width="560" height="${height}"></svg>`;
  expect(stacked([picture(100), picture(50)])).toMatch(/width="560" height="162".*y="0".*y="112"/);
});
