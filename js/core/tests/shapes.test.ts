// Where things stand on the canvas.
import { describe, expect, test } from "vitest";
import { drawnWidth, grouped, supersededRuns, type Group } from "../src/chart/groups";
import { LINEAR, LOG, clippedRange, paddedLogRange, paddedRange, scaleOf, valueRange } from "../src/chart/scales";
import { sceneOf } from "../src/chart/scene";
import { badMarks, bandColumns, spikes } from "../src/chart/shapes";
import { Series } from "../src/data/series";
import { PLAIN, lineOf } from "./lines";
import type { WireNumber } from "../src/wire/frames";
import { dice } from "./dice";

function series(steps: number[], value: (step: number) => WireNumber): Series {
  const made = new Series("loss");
  made.append({ step: steps, time: steps, value: steps.map(value) });
  return made;
}

const EVERYWHERE = { min: -Infinity, max: Infinity };

const all = (of: Series, wide = of.width): Group[] => grouped(of.main.buckets, of.width, EVERYWHERE, () => wide);

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

describe("the buckets that are drawn", () => {
  test("are a power of two wider than those of the series, and no wider than they must be", () => {
    expect(drawnWidth(1, 0.01)).toBe(1);
    expect(drawnWidth(1, 1)).toBe(1);
    expect(drawnWidth(1, 1.1)).toBe(2);
    expect(drawnWidth(4, 200)).toBe(256);
    expect(drawnWidth(256, 200)).toBe(256);
    for (const least of [0.3, 1.7, 9, 1e12]) {
      const wide = drawnWidth(1, least);
      expect(wide >= least && (wide === 1 || wide / 2 < least) && Number.isInteger(Math.log2(wide))).toBe(true);
    }
  });

  test("are what the series' own would be if it were wider", () => {
    const random = dice(4);
    const values = range(20_000).map(() => random());
    const fine = series(range(20_000), (step) => values[step]!);
    const before = structuredClone(fine.main.buckets);
    const coarse = series(range(20_000), (step) => values[step]!);
    coarse.main.widen(64);
    const told = ({ x0, min, max, last, n }: Group | (typeof before)[0]): unknown[] => [x0, min, max, last, n];
    expect(all(fine, 64).map(told)).toEqual(coarse.main.buckets.map(told));
    expect(fine.main.buckets).toEqual(before);
  });

  test("are those that are seen, and one on either side, for the lines that lead out of sight", () => {
    const loss = series(range(100), (step) => step);
    const seen = grouped(loss.main.buckets, 1, { min: 40, max: 42 }, () => 1);
    expect(seen.map(({ x0 }) => x0)).toEqual([38, 39, 40, 41, 42, 43]);
    expect(grouped(loss.main.buckets, 1, { min: 200, max: 300 }, () => 1).map(({ x0 }) => x0)).toEqual([99]);
  });

  test("grow along a logarithmic axis, side by side, and hold each point once", () => {
    const loss = series(range(4_000), () => 1);
    const groups = grouped(loss.main.buckets, 1, EVERYWHERE, (x) => drawnWidth(1, x / 100));
    expect(groups[1]!.width).toBe(1);
    expect(groups[groups.length - 1]!.width).toBe(64);
    groups.forEach(({ x0, width }, k) => expect(groups[k + 1]?.x0 ?? x0 + width).toBe(x0 + width));
    expect(groups.reduce((sum, { n }) => sum + n, 0)).toBe(4_000);
  });
});

describe("the band", () => {
  test("keeps a spike among a million steps, in whole pixels side by side", () => {
    const loss = series(range(1_000_000), (step) => (step === 500_000 ? 99 : step % 3));
    const wide = drawnWidth(loss.width, 1.6 * (1_000_000 / 900));
    const columns = bandColumns(all(loss, wide), 1, (step) => (step / 1_000_000) * 900, (value) => value);
    expect(columns.length).toBe(Math.ceil(1_000_000 / 2048));
    expect(columns.filter(({ max }) => max === 99)).toEqual([{ left: 450, right: 452, min: 0, max: 99 }]);
    columns.forEach(({ left, right }, k) => expect(k === 0 || (left === columns[k - 1]!.right && right > left)).toBe(true));
  });

  test("is not there where there is nothing between least and greatest", () => {
    const loss = series(range(8_000), (step) => (step < 4_000 ? 1 : step));
    expect(loss.width).toBe(2);
    const columns = bandColumns(all(loss), 1, (step) => step * 10, (value) => value);
    expect(columns[0]).toEqual({ left: 39_995, right: 40_015, min: 4_000, max: 4_001 });
    expect(columns).toHaveLength(2_000);
  });
});

test("a spike is what stands out from the band beside it, up or down, or has none beside it; a slope is none", () => {
  const column = (left: number, min: number, max: number, wide = 3): { left: number; right: number; min: number; max: number } => ({ left, right: left + wide, min, max });
  const columns = [column(0, 0, 1), column(3, 0, 9), column(6, 0, 2), column(9, -9, 1), column(12, 0, 1), column(50, 0, 9), column(70, 0, 9)];
  expect(spikes(columns, 5, 1)).toEqual([column(4, 2, 9, 1), column(10, -9, 0, 1), column(51, 0, 9, 1), column(71, 0, 9, 1)]);
  expect(spikes([column(1, 0, 9)], 9, 1)).toEqual([]);
  expect(spikes([column(0, 0, 20), column(3, 20, 40), column(6, 40, 60)], 5, 1)).toEqual([]);
  expect(spikes([column(0, 0, 20), column(3, 0, 1)], 5, 1)).toEqual([column(1, 1, 20, 1)]);
});

test("marks for what is not finite stand where it was, and never on one another", () => {
  const loss = series(range(100), (step) => (step === 3 || step >= 90 ? "nan" : 1));
  expect(badMarks(all(loss), 1, (step) => step * 10, 7)).toEqual([30, 900, 910, 920, 930, 940, 950, 960, 970, 980, 990]);
  expect(badMarks(all(loss), 1, (step) => step, 7)).toEqual([3, 90, 97]);
});

describe("what was superseded", () => {
  const runs = ({ superseded, main }: Series): number[][] => supersededRuns(superseded.buckets, main.buckets).map((run) => run.map(({ x0 }) => x0));

  test("begins where it left the curve", () => {
    expect(runs(series([1, 2, 3, 4, 5, 3], (step) => step))).toEqual([[2, 3, 4, 5]]);
    expect(runs(series([1, 2, 3, 1], (step) => step))).toEqual([[1, 2, 3]]);
  });

  test("is not tied to another run", () => {
    // 4 went on from a 3 that is gone: of that step a newer one was superseded meanwhile.
    expect(runs(series([1, 2, 3, 4, 3, 1, 2], (step) => step))).toEqual([[1, 2, 3], [4]]);
  });
});

describe("the scale", () => {
  test("starts at zero where zero is near, and a flat line has room", () => {
    expect(paddedRange({ min: 1, max: 5 }).min).toBe(0);
    expect(paddedRange({ min: 4, max: 5 }).min).toBeGreaterThan(3.9);
    expect(paddedRange({ min: 2, max: 2 })).toEqual({ min: 1, max: 3 });
    expect(paddedRange({ min: Infinity, max: -Infinity })).toEqual({ min: 0, max: 1 });
  });

  const ranged = (loss: Series): object => valueRange([{ groups: all(loss), runs: [all({ ...loss, width: loss.width, main: loss.superseded } as Series)] }]);

  test("holds every value, the least and the greatest of wide buckets too", () => {
    expect(ranged(series(range(9_000), (step) => (step === 5_001 ? -7 : step === 5_002 ? 70 : 1)))).toEqual({ min: -7, max: 70 });
  });

  test("a run that exploded and was superseded does not flatten the one that counts", () => {
    expect(ranged(series([1, 2, 3, 4, 3], (step) => (step === 4 ? 1e6 : step)))).toEqual({ min: 1, max: 5 });
    expect(ranged(series([1, 2, 3, 1], (step) => step))).toEqual({ min: 1, max: 3 });
  });

  test("that is logarithmic leaves equal room for equal ratios, and none for what is not above zero", () => {
    const y = scaleOf(LOG, { min: 0.01, max: 100 }, 400, 0);
    expect([0.01, 0.1, 1, 10, 100].map((value) => Math.round(y(value)))).toEqual([400, 300, 200, 100, 0]);
    expect([y(0), y(-1)]).toEqual([NaN, NaN]);
    const { min, max } = paddedLogRange({ min: 1, max: 100 });
    expect([min > 0.7 && min < 1, max > 100 && max < 140]).toEqual([true, true]);
    expect(paddedLogRange({ min: 0, max: 0 })).toEqual({ min: 0.1, max: 1 });
  });

  test("that is logarithmic fits what is above zero, and leaves gaps and no band where nothing is", () => {
    const loss = series(range(9), (step) => (step === 4 ? -3 : step === 5 ? 0 : 10 ** (step % 3)));
    const scene = sceneOf([{ line: lineOf(loss), color: "--tl-a", points: false }], { ...PLAIN, logY: true }, { min: 0, max: 8 }, 900);
    expect(scene.values).toEqual(paddedLogRange({ min: 1, max: 100 }));
    const y = scaleOf(LOG, scene.values, 200, 0);
    expect(bandColumns([{ x0: 0, width: 4, min: -1, max: 0, last: 0, smoothed: null, n: 4, bad: 0 }], 1, (x) => x, y)).toEqual([]);
    const half = bandColumns([{ x0: 0, width: 4, min: -1, max: 10, last: 1, smoothed: null, n: 4, bad: 0 }], 1, (x) => x, (value) => 200 - y(value));
    expect(half[0]!.min).toBeLessThan(-1_000);
    expect(half[0]!.max).toBeGreaterThan(0);
  });

  test("without outliers shows what nearly all values need, and is the whole where there are none", () => {
    const random = dice(9);
    const calm = series(range(400), () => 1 + random());
    const of = (loss: Series): { groups: Group[]; runs: Group[][] }[] => [{ groups: all(loss), runs: [] }];
    expect(clippedRange(of(calm), LINEAR)).toEqual(valueRange(of(calm)));
    const wild = series(range(400), (step) => (step === 100 ? 1e9 : step === 200 ? -1e9 : 1 + random()));
    const { min, max } = clippedRange(of(wild), LINEAR);
    expect(min > 0.4 && min <= 1.1 && max < 2.6 && max > 1.9).toBe(true);
    expect(clippedRange(of(series([], () => 1)), LINEAR)).toEqual({ min: Infinity, max: -Infinity });
  });
});
