// Where things stand on the canvas.
import { describe, expect, test } from "vitest";
import { badMarks, bandColumns, drawnWidth, grouped, paddedRange, spikes, supersededRuns, valueRange } from "../src/chart/shapes";
import { Series } from "../src/data/series";
import type { WireNumber } from "../src/wire/frames";
import { dice } from "./dice";

function series(steps: number[], value: (step: number) => WireNumber): Series {
  const made = new Series("loss");
  made.append({ step: steps, time: steps, value: steps.map(value) });
  return made;
}

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

  test("are what the series' own would be if it were wider, and leave those as they are", () => {
    const random = dice(4);
    const values = range(20_000).map(() => random());
    const fine = series(range(20_000), (step) => values[step]!);
    const before = structuredClone(fine.main.buckets);
    const coarse = series(range(20_000), (step) => values[step]!);
    coarse.main.widen(64);
    expect(grouped(fine.main.buckets, fine.width, 64)).toEqual(coarse.main.buckets);
    expect(fine.main.buckets).toEqual(before);
    expect(grouped(fine.main.buckets, fine.width, fine.width)).toBe(fine.main.buckets);
  });
});

describe("the band", () => {
  test("keeps a spike among a million steps, in whole pixels side by side", () => {
    const loss = series(range(1_000_000), (step) => (step === 500_000 ? 99 : step % 3));
    const wide = drawnWidth(loss.width, 1.6 * (1_000_000 / 900));
    const columns = bandColumns(grouped(loss.main.buckets, loss.width, wide), wide, (step) => (step / 1_000_000) * 900);
    expect(columns.length).toBe(Math.ceil(1_000_000 / 2048));
    expect(columns.filter(({ max }) => max === 99)).toEqual([{ left: 450, right: 452, min: 0, max: 99 }]);
    columns.forEach(({ left, right }, k) => expect(k === 0 || (left === columns[k - 1]!.right && right > left)).toBe(true));
  });

  test("is not there where there is nothing between least and greatest", () => {
    const loss = series(range(8_000), (step) => (step < 4_000 ? 1 : step));
    expect(loss.width).toBe(2);
    const columns = bandColumns(loss.main.buckets, loss.width, (step) => step * 10);
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
  expect(badMarks(loss.main.buckets, 1, (step) => step * 10, 7)).toEqual([30, 900, 910, 920, 930, 940, 950, 960, 970, 980, 990]);
  expect(badMarks(loss.main.buckets, 1, (step) => step, 7)).toEqual([3, 90, 97]);
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
    expect(paddedRange(1, 5).min).toBe(0);
    expect(paddedRange(4, 5).min).toBeGreaterThan(3.9);
    expect(paddedRange(2, 2)).toEqual({ min: 1, max: 3 });
    expect(paddedRange(Infinity, -Infinity)).toEqual({ min: 0, max: 1 });
  });

  const ranged = (loss: Series): object => valueRange([loss]);

  test("holds every value, the least and the greatest of wide buckets too", () => {
    expect(ranged(series(range(9_000), (step) => (step === 5_001 ? -7 : step === 5_002 ? 70 : 1)))).toEqual({ min: -7, max: 70 });
  });

  test("a run that exploded and was superseded does not flatten the one that counts", () => {
    expect(ranged(series([1, 2, 3, 4, 3], (step) => (step === 4 ? 1e6 : step)))).toEqual({ min: 1, max: 5 });
    expect(ranged(series([1, 2, 3, 1], (step) => step))).toEqual({ min: 1, max: 3 });
  });
});
