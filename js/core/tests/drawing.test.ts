// @vitest-environment happy-dom
// The grid, the ink and the lens: what stands where, and what is written there.
import { describe, expect, test } from "vitest";
import { Cursor, moved, zoomed } from "../src/chart/cursor";
import { curveInk } from "../src/chart/curves";
import { svgText, type Ink } from "../src/chart/ink";
import { markInk } from "../src/chart/marking";
import { notesAt, rowsOf } from "../src/chart/readings";
import { fullRange, sceneOf } from "../src/chart/scene";
import { axisTicks, linearTicks, logTicks, timeTicks, valueTicks } from "../src/chart/ticks";
import { Lens } from "../src/data/lens";
import { marksOf } from "../src/data/marks";
import { Series } from "../src/data/series";
import type { WireNumber } from "../src/wire/frames";
import { PLAIN, lineOf } from "./lines";

function series(values: WireNumber[]): Series {
  const made = new Series("loss");
  made.append({ step: values.map((_, k) => k + 1), time: values.map((_, k) => k + 1), value: values });
  return made;
}

describe("the grid", () => {
  test("has round numbers, no more than fit, and steps are whole", () => {
    expect(linearTicks({ min: 0, max: 3_000 }, 6)).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500, 3_000]);
    expect(linearTicks({ min: -0.31, max: 0.42 }, 4)).toEqual([-0.2, 0, 0.2, 0.4]);
    expect(axisTicks("step", { min: 0, max: 3 }, 10, false)).toEqual({ at: [0, 1, 2, 3], labels: ["0", "1", "2", "3"] });
    expect(linearTicks({ min: 0, max: 1e300 }, 5).length).toBeLessThan(8);
  });

  test("tells neighbours apart where they differ by little", () => {
    expect(valueTicks({ min: 1.200001, max: 1.200004 }, 3, false).labels).toEqual(["1.200001", "1.200002", "1.200003", "1.200004"]);
    expect(valueTicks({ min: 0, max: 4e-5 }, 4, false).labels).toEqual(["0", "1e-5", "2e-5", "3e-5", "4e-5"]);
  });

  test("that is logarithmic has powers of ten, more between them where there is room, and fewer where there is none", () => {
    expect(logTicks({ min: 0.9, max: 1_100 }, 4)).toEqual([1, 10, 100, 1_000]);
    expect(logTicks({ min: 1, max: 20 }, 9)).toEqual([1, 2, 3, 5, 10, 20]);
    expect(logTicks({ min: 1, max: 20 }, 4)).toEqual([1, 2, 5, 10, 20]);
    expect(logTicks({ min: 0.7, max: 4.2 }, 8)).toEqual([0.8, 1, 2, 3, 4]);
    expect(logTicks({ min: 1e-9, max: 1e9 }, 4).length).toBeLessThanOrEqual(5);
    expect(logTicks({ min: 2.1, max: 4.2 }, 4)).toEqual([3, 4]);
    expect(logTicks({ min: 1e-7, max: 1e-6 }, 2)).toEqual([1e-7, 1e-6]);
  });

  test("of time has whole seconds, minutes and hours, by the clock on the wall", () => {
    expect(timeTicks({ min: 0, max: 300 }, 5)).toEqual([0, 60, 120, 180, 240, 300]);
    expect(timeTicks({ min: 0, max: 7_000 }, 4)).toEqual([0, 1_800, 3_600, 5_400]);
    // Half an hour beside UTC: midnight is where it is here.
    expect(timeTicks({ min: 0, max: 172_800 }, 2, 19_800)).toEqual([66_600, 153_000]);
    expect(axisTicks("elapsed", { min: 0, max: 300 }, 3, false).labels).toEqual(["0", "2\u00a0min", "4\u00a0min"]);
    expect(axisTicks("clock", { min: 1_700_000_000, max: 1_700_000_300 }, 5, false).labels.every((label) => /^\d\d:\d\d$/.test(label))).toBe(true);
  });
});

describe("all of an axis", () => {
  test("goes as far as the job is to go, and begins above zero on a logarithmic one", () => {
    expect(fullRange([{ min: 1, max: 40 }], { min: 0, max: 100 }, false)).toEqual({ min: 0, max: 100 });
    expect(fullRange([{ min: 0, max: 40 }], { min: 0, max: 100 }, true)).toEqual({ min: 0.1, max: 100 });
    expect(fullRange([{ min: 2, max: 40 }], { min: 0, max: 100 }, true)).toEqual({ min: 2, max: 100 });
    expect(fullRange([], null, false)).toEqual({ min: 0, max: 1 });
    expect(fullRange([{ min: 7, max: 7 }], null, false)).toEqual({ min: 7, max: 8 });
  });
});

describe("ink", () => {
  const box = { left: 10, top: 10, width: 100, height: 50 };
  const drawn = (values: WireNumber[], lens = PLAIN): Ink[] => {
    const scene = sceneOf([{ line: lineOf(series(values), lens), color: "blue", points: false }], lens, { min: 1, max: values.length }, 100);
    return curveInk(scene.drawn, (x) => x * 10, (y) => 60 - 10 * y, box, 1, "white");
  };

  test("lifts the pen where there is no number, and a single point is a ring", () => {
    const lines = drawn([1, 2, "nan", 3]).filter((ink) => ink.kind === "line");
    expect(lines.map((line) => line.kind === "line" && line.points)).toEqual([[10, 50, 20, 40, 30, NaN, 40, 30]]);
    expect(drawn([1]).find(({ kind }) => kind === "dots")).toMatchObject({ points: [10, 50] });
  });

  test("of a smoothed curve is its average, with the raw one faint behind", () => {
    const lines = drawn([1, 2, 3], { ...PLAIN, smoothing: 0.5 }).filter((ink) => ink.kind === "line");
    expect(lines.map((line) => "alpha" in line && (line.alpha ?? 1) < 0.5)).toEqual([true, false]);
  });

  test("as SVG is text, whatever a name holds", () => {
    const inks: Ink[] = [{ kind: "text", x: 1, y: 2, text: `</text><script>alert(1)</script>&"'\u0000\ud800`, color: "red", size: 10, align: "end" }];
    const picture = svgText({ width: 10, height: 10 }, "white", box, drawn([1, 2, "inf", 4]), inks, `"A", serif`, "<title>");
    const page = new DOMParser().parseFromString(picture, "image/svg+xml");
    expect(picture).not.toContain("<script");
    expect(page.documentElement.tagName).toBe("svg");
    expect([...picture].every((mark) => mark >= " ")).toBe(true);
  });
});

describe("marks", () => {
  const job = {
    job_id: "job_1",
    started_at: "2026-01-01T00:00:00Z",
    total_steps: 100,
    total_epochs: 2,
    marks: [
      { kind: "checkpoint" as const, step: 50, time: "2026-01-01T00:01:00Z" },
      { kind: "paused" as const, step: null, time: "2026-01-01T00:02:00Z" },
    ],
    alerts: [{ name: "spike", message: "The loss jumped.", step: 20, time: null }],
  };

  test("stand where they belong on every axis, and are left out where that is not known", () => {
    expect(marksOf(job, "step").map(({ kind, x }) => [kind, x])).toEqual([["alert", 20], ["checkpoint", 50]]);
    expect(marksOf(job, "epoch").map(({ x }) => x)).toEqual([0.4, 1]);
    expect(marksOf(job, "elapsed").map(({ kind, x }) => [kind, x])).toEqual([["checkpoint", 60], ["paused", 120]]);
    expect(marksOf(job, "clock")[0]!.x).toBe(Date.parse("2026-01-01T00:01:00Z") / 1_000);
    expect(notesAt(marksOf(job, "step"), 21, 2)).toEqual(["The loss jumped."]);
  });

  test("are no fence: of many checkpoints the newest has a line and its words, the others a tick", () => {
    const many = Array.from({ length: 200 }, (_, k) => ({ kind: "checkpoint" as const, step: k, time: null }));
    const placed = marksOf({ job_id: "job_1", marks: many }, "step");
    const inks = markInk(placed, (x) => x * 4, { left: 0, top: 0, width: 800, height: 200 }, 1, true, { line: "grey", alert: "red", background: "white" });
    const tall = inks.filter((ink) => ink.kind === "line" && ink.points[3]! - ink.points[1]! > 100);
    expect(tall).toHaveLength(1);
    expect(inks.flatMap((ink) => (ink.kind === "text" ? ink.text : []))).toEqual([]);
  });

  test("have their words beside them, in two rows, and across no other mark", () => {
    const at = (...steps: number[]): string[] => {
      const placed = marksOf({ job_id: "job_1", marks: steps.map((step) => ({ kind: "paused" as const, step, time: null })) }, "step");
      const inks = markInk(placed, (x) => x, { left: 0, top: 0, width: 800, height: 200 }, 1, true, { line: "grey", alert: "red", background: "white" });
      return inks.flatMap((ink) => (ink.kind === "text" ? `${ink.text} ${ink.align} ${ink.y}` : []));
    };
    expect(at(100, 400)).toEqual(["paused 100 start 10", "paused 400 start 10"]);
    expect(at(100, 101)).toEqual(["paused 100 start 10", "paused 101 start 22"]);
    expect(at(100, 120)).toEqual(["paused 100 end 10", "paused 120 start 10"]);
    expect(at(790)).toEqual(["paused 790 end 10"]);
  });
});

describe("looking", () => {
  test("about a place keeps it where it is, and never goes beyond all there is", () => {
    const full = { min: 0, max: 100 };
    expect(zoomed(full, 25, 0.5, full, 1)).toEqual({ min: 12.5, max: 62.5 });
    expect(zoomed({ min: 10, max: 20 }, 10, 100, full, 1)).toBeNull();
    expect(zoomed({ min: 10, max: 12 }, 11, 0.01, full, 1)).toEqual({ min: 10.5, max: 11.5 });
    expect(moved({ min: 10, max: 20 }, -50, full)).toEqual({ min: 0, max: 10 });
    expect(moved({ min: 10, max: 20 }, 500, full)).toEqual({ min: 90, max: 100 });
  });

  test("along another axis begins with all of it; who listens hears of changes alone", () => {
    const lens = new Lens({ smoothing: 0.5 });
    let heard = 0;
    const stop = lens.subscribe(() => (heard += 1));
    lens.set({ zoom: { min: 1, max: 2 } });
    lens.set({ smoothing: 0.5 });
    lens.set({ axis: "elapsed" });
    expect([lens.state.zoom, lens.state.axis, heard]).toEqual([null, "elapsed", 2]);
    stop();
    lens.set({ logY: true });
    expect(heard).toBe(2);
  });

  test("at one plot is told to all of them, once for each place", () => {
    const cursor = new Cursor();
    let heard = 0;
    cursor.subscribe(() => (heard += 1));
    for (const x of [3, 3, 4, null, null]) cursor.set(x);
    expect(heard).toBe(3);
  });
});

test("a table has as many rows as are asked for, the newest among them, and empty cells where a curve has no point", () => {
  const loss = lineOf(series([1, 2, "nan", 4, 5]));
  const other = new Series("eval_loss");
  other.append({ step: [2], time: [2], value: [9] });
  const curves = [{ line: loss, name: "loss", label: "loss", color: "" }, { line: lineOf(other), name: "eval_loss", label: "eval loss", color: "" }];
  const { head, rows } = rowsOf(curves, { min: 0, max: 10 }, "step", 10);
  expect(head).toEqual(["step", "loss", "eval loss"]);
  expect(rows).toEqual([["step 1", "1.000", ""], ["step 2", "2.000", "9.000"], ["step 3", "NaN", ""], ["step 4", "4.000", ""], ["step 5", "5.000", ""]]);
  expect(rowsOf(curves.slice(0, 1), { min: 0, max: 10 }, "step", 2).rows.map(([step]) => step)).toEqual(["step 2", "step 5"]);
  expect(rowsOf(curves, { min: 2, max: 3 }, "step", 10, true).rows).toEqual([["2", "2", "9"], ["3", "nan", ""]]);
});
