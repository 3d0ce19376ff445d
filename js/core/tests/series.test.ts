// Curves of any length: buckets that widen, segments that go back, and joining them for the plot.
import { describe, expect, test } from "vitest";
import { drawable, lastOf, type Bucket } from "../src/data/bucket";
import { takeIn } from "../src/data/intake";
import { MAX_ENTRIES, Series } from "../src/data/series";
import type { SeriesPoints, WireBucket, WireNumber } from "../src/wire/frames";
import { dice } from "./dice";

function column(...points: [step: number, time: number, value: WireNumber][]): SeriesPoints {
  return { step: points.map((point) => point[0]), time: points.map((point) => point[1]), value: points.map((point) => point[2]) };
}

function series(name: string, steps: number[], values: WireNumber[]): Series {
  const made = new Series(name);
  made.append({ step: steps, time: steps, value: values });
  return made;
}

const steps = ({ main }: Series): number[] => main.buckets.map(({ x0 }) => x0);
const lasts = ({ main }: Series): (number | null)[] => main.buckets.map(({ last }) => last);
const faint = ({ superseded }: Series): number[][] => superseded.buckets.map(({ x0, last }) => [x0, last!]);
const without = ({ time: _time, segment: _segment, ...rest }: Bucket): object => rest;

/** What the buckets of one width must be, from all points at once. */
function naive(points: readonly [step: number, value: WireNumber][], width: number): object[] {
  const groups = new Map<number, WireNumber[]>();
  for (const [step, value] of points) {
    const x0 = Math.floor(step / width) * width;
    groups.set(x0, [...(groups.get(x0) ?? []), value]);
  }
  return [...groups.entries()]
    .sort(([a], [b]) => a - b)
    .map(([x0, values]) => {
      const finite = values.filter((value) => typeof value === "number");
      const [min, max] = finite.length > 0 ? [Math.min(...finite), Math.max(...finite)] : [null, null];
      const infinite = values.filter((value) => value === "inf" || value === "-inf").length;
      return { x0, min, max, last: finite[finite.length - 1] ?? null, n: values.length, nan: values.length - finite.length - infinite, inf: infinite };
    });
}

describe("a series", () => {
  test("has a bucket for each step while they are few, and its newest value keeps its name", () => {
    expect([1, "nan", "inf", "-inf", null, undefined].map((value) => drawable(value as WireNumber))).toEqual([1, null, null, null, null, null]);
    const loss = series("loss", [1, 2, 3], [2, 1.5, "nan"]);
    expect(lasts(loss)).toEqual([2, 1.5, null]);
    expect(loss.last).toBe("nan");
    expect(loss.main.extent).toEqual({ min: 1.5, max: 2, n: 3, nan: 1, inf: 0 });
    expect(loss.main.buckets.map(lastOf)).toEqual([2, 1.5, "nan"]);
  });

  test("a step logged again is one bucket: the newest value, and the room between all of them", () => {
    const loss = series("loss", [1, 2, 2, 2, 3], [2, 5, "inf", 4, 1]);
    expect(loss.main.buckets.map(without)[1]).toEqual({ x0: 2, min: 4, max: 5, last: 4, n: 3, nan: 0, inf: 1 });
    expect(loss.superseded.buckets).toEqual([]);
  });

  test("is what its points come to, whatever they are and however they arrive", () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = dice(seed);
      const loss = new Series("loss");
      const points: [number, WireNumber][] = [];
      let step = Math.floor(random() * 1000);
      while (points.length < 30_000) {
        const frame: [number, number, WireNumber][] = [];
        for (let k = Math.floor(random() * 400); k >= 0; k -= 1) {
          step += Math.floor(random() * (seed + 1));
          const what = random();
          frame.push([step, step, what < 0.01 ? "nan" : what < 0.02 ? "-inf" : Math.round(random() * 1000) / 7]);
        }
        points.push(...frame.map(([at, , value]): [number, WireNumber] => [at, value]));
        loss.append(column(...frame));
      }
      expect(loss.level).toBeGreaterThan(1);
      expect(loss.main.buckets.map(without)).toEqual(naive(points, loss.width));
      expect(loss.main.buckets.length).toBeGreaterThan(MAX_ENTRIES / 2 - 2);
      expect(loss.main.buckets.length).toBeLessThanOrEqual(MAX_ENTRIES);
      expect(loss.main.extent.n).toBe(points.length);
    }
  });

  test("a bucket that the steps have passed never changes again, but for being joined with its neighbour", () => {
    const loss = new Series("loss");
    const random = dice(7);
    let finished: Bucket[] = [];
    let width = 1;
    for (let step = 0; step < 40_000; step += 1) {
      loss.append(column([step, step, random()]));
      if (step % 499 !== 0 && loss.width === width) continue;
      const now = loss.main.buckets.slice(0, -1).map((bucket) => ({ ...bucket }));
      if (loss.width === width) {
        expect(now.slice(0, finished.length)).toEqual(finished);
      } else {
        expect(loss.width).toBe(2 * width);
        for (const bucket of now) {
          const parts = finished.filter(({ x0 }) => x0 >= bucket.x0 && x0 < bucket.x0 + loss.width);
          if (parts.length < 2) continue;
          expect(bucket).toEqual({
            ...parts[1]!,
            x0: parts[0]!.x0,
            min: Math.min(parts[0]!.min!, parts[1]!.min!),
            max: Math.max(parts[0]!.max!, parts[1]!.max!),
            n: parts[0]!.n + parts[1]!.n,
          });
        }
      }
      finished = now;
      width = loss.width;
    }
    expect(width).toBe(16);
  });

  test("one spike among a million points is kept, with where it was, in at most 4,096 buckets", () => {
    const loss = new Series("loss");
    const began = performance.now();
    for (let from = 0; from < 1_000_000; from += 10_000) {
      const step = Array.from({ length: 10_000 }, (_, i) => from + i);
      loss.append({ step, time: step, value: step.map((at) => (at === 654_321 ? 99 : at === 777_777 ? "nan" : 1)) });
    }
    console.info(`a million points, 10,000 a frame: ${Math.round(performance.now() - began)} ms`);
    expect(loss.main.buckets.length).toBeLessThanOrEqual(MAX_ENTRIES);
    const spikes = loss.main.buckets.filter(({ max }) => max === 99);
    expect(spikes).toHaveLength(1);
    expect(spikes[0]!.x0).toBe(654_321 - (654_321 % loss.width));
    expect(loss.main.extent).toEqual({ min: 1, max: 99, n: 1_000_000, nan: 1, inf: 0 });
  });

  test("steps may be negative or unknown", () => {
    const loss = new Series("loss");
    const random = dice(9);
    const points = Array.from({ length: 9_000 }, (_, i): [number, WireNumber] => [i - 6_000, random()]);
    loss.append(column(...points.map(([step, value]): [number, number, WireNumber] => [step, 0, value])));
    expect(loss.main.buckets.map(without)).toEqual(naive(points, loss.width));
    loss.append({ step: [null, null], time: [1, 2], value: [7, 8] });
    expect(loss.main.end).toMatchObject({ x0: loss.width * Math.floor(2_999 / loss.width), max: 8, time: 2 });
    expect(loss.main.extent.n).toBe(9_002);
    takeIn(new Map([["loss", loss]]), { loss: { step: [null], time: [3], value: [9] } }, true);
    expect([loss.main.extent.n, loss.superseded.buckets]).toEqual([9_003, []]);
  });

  test("steps far apart stay a bucket each, however large they are", () => {
    const loss = series("loss", Array.from({ length: 6_000 }, (_, i) => i * 1e9), Array<WireNumber>(6_000).fill(1));
    expect(loss.main.buckets.length).toBeGreaterThan(MAX_ENTRIES / 2 - 2);
    expect(loss.main.buckets.length).toBeLessThanOrEqual(MAX_ENTRIES);
    expect(loss.main.buckets.every(({ x0 }) => x0 % loss.width === 0)).toBe(true);
    expect(loss.main.extent.n).toBe(6_000);
  });

  test("the bucket in force at a step is the last one before it", () => {
    const loss = series("eval_loss", [10, 20], [3, 2]);
    expect([5, 10, 10.5, 19, 20, 99].map((step) => loss.main.indexAt(step))).toEqual([-1, 0, 0, 0, 1, 1]);
  });
});

describe("steps that go back", () => {
  test("begin a new segment; the one before stays up to there, and the rest of it behind", () => {
    const loss = series("loss", [1, 2, 3, 4, 5], [5, 4, 3, 2, 1]);
    loss.append(column([3, 9, 30], [4, 9, 20]));
    expect(lasts(loss)).toEqual([5, 4, 30, 20]);
    expect(faint(loss)).toEqual([
      [3, 3],
      [4, 2],
      [5, 1],
    ]);
    expect(loss.main.extent.n).toBe(4);
  });

  test("of several that were superseded the newest is shown, and of the older ones what it does not reach", () => {
    const loss = series("loss", [0, 1, 2, 3, 4], [10, 11, 12, 13, 14]);
    loss.append(column([0, 0, 20], [1, 0, 21], [2, 0, 22], [0, 0, 30]));
    expect(lasts(loss)).toEqual([30]);
    expect(faint(loss)).toEqual([
      [0, 20],
      [1, 21],
      [2, 22],
      [3, 13],
      [4, 14],
    ]);
    expect(new Set(loss.superseded.buckets.map(({ segment }) => segment.id)).size).toBe(2);
  });

  test("a loop that restarts its count for ever costs no more than two curves", () => {
    const loss = new Series("loss");
    const step = Array.from({ length: 10_000 }, (_, i) => i);
    for (let round = 0; round < 20; round += 1) loss.append({ step, time: step, value: step.map(() => round) });
    expect(loss.main.buckets.length).toBeLessThanOrEqual(MAX_ENTRIES);
    expect(loss.superseded.buckets.length).toBeLessThanOrEqual(MAX_ENTRIES);
    expect(loss.main.buckets.every(({ min, max }) => min === 19 && max === 19)).toBe(true);
    expect(loss.superseded.buckets.every(({ min, max }) => min === 18 && max === 18)).toBe(true);
    expect(loss.main.extent.n).toBe(10_000);
  });

  test("a resumed run supersedes what is behind its checkpoint, in every series", () => {
    const all = new Map<string, Series>();
    takeIn(all, { loss: column([1, 1, 5], [2, 2, 4], [3, 3, 3]), eval_loss: column([2, 2, 4], [3, 3, 3.5]) }, true);
    takeIn(all, { loss: column([2, 9, 4.5]) }, true);
    expect([steps(all.get("loss")!), lasts(all.get("loss")!)]).toEqual([[1, 2], [5, 4.5]]);
    expect(lasts(all.get("eval_loss")!)).toEqual([4]);
    expect(faint(all.get("eval_loss")!)).toEqual([[3, 3.5]]);
    expect(all.get("eval_loss")!.last, "what was superseded is not the newest value").toBe(4);
  });

  test("in a resumed run even the last step, done again, counts once", () => {
    const all = new Map<string, Series>();
    takeIn(all, { loss: column([1, 1, 5], [2, 2, 4]) }, true);
    takeIn(all, { loss: column([2, 9, 4.5]) }, true);
    expect(all.get("loss")!.main.extent.n).toBe(2);
  });

  test("one frame of history may hold the end of one attempt and the beginning of the next", () => {
    const all = new Map<string, Series>();
    const loss = column([1, 1, 5], [2, 2, 4], [3, 3, 3], [4, 4, 2], [2, 9, 4.5], [3, 10, 3.5], [5, 12, 1.5]);
    takeIn(all, { eval_loss: column([4, 4, 9], [3, 11, 8]), loss }, true);
    expect([steps(all.get("loss")!), lasts(all.get("loss")!)]).toEqual([[1, 2, 3, 5], [5, 4.5, 3.5, 1.5]]);
    expect(lasts(all.get("eval_loss")!)).toEqual([8]);
    expect(faint(all.get("eval_loss")!)).toEqual([[4, 9]]);
  });

  test("code that counts its steps anew, never resumed, cuts nothing but its own series", () => {
    const all = new Map<string, Series>();
    takeIn(all, { loss: column([1, 1, 5], [2, 2, 4], [0, 3, 1]), other: column([2, 2, 4]) }, false);
    expect(steps(all.get("loss")!)).toEqual([0]);
    expect(faint(all.get("loss")!)).toEqual([
      [1, 5],
      [2, 4],
    ]);
    expect(steps(all.get("other")!)).toEqual([2]);
  });

  test("within a wide bucket a step that comes late is only late", () => {
    const loss = series("loss", Array.from({ length: 9_000 }, (_, i) => i), Array<WireNumber>(9_000).fill(1));
    expect(loss.width).toBe(4);
    loss.append(column([8_997, 0, 7], [9_000, 0, 1]));
    expect(loss.superseded.buckets).toEqual([]);
    expect(loss.main.buckets.map(without).slice(-2)[0]).toMatchObject({ x0: 8_996, n: 5, max: 7 });
  });
});

describe("a snapshot of a series", () => {
  const wire = (x0: number, x1: number, segment: number, value: WireNumber): WireBucket => {
    const bad = typeof value === "string";
    return { x0, x1, min: bad ? null : value, max: bad ? null : value, last: value, n: x1 - x0, nan: bad ? x1 - x0 : 0, inf: 0, segment };
  };

  test("its buckets of any width become buckets of the widest, and points go on behind them", () => {
    const loss = Series.of("loss", [wire(0, 4, 0, 5), wire(4, 8, 0, 3), wire(8, 10, 0, 2), wire(10, 11, 0, 9)]);
    expect(loss.level).toBe(2);
    expect(loss.main.buckets.map(without)).toEqual([
      { x0: 0, min: 5, max: 5, last: 5, n: 4, nan: 0, inf: 0 },
      { x0: 4, min: 3, max: 3, last: 3, n: 4, nan: 0, inf: 0 },
      { x0: 8, min: 2, max: 9, last: 9, n: 3, nan: 0, inf: 0 },
    ]);
    loss.append(column([11, 1, 1], [12, 1, "nan"]));
    expect(loss.main.buckets.map(({ n }) => n)).toEqual([4, 4, 4, 1]);
    expect(loss.main.extent).toEqual({ min: 1, max: 9, n: 13, nan: 1, inf: 0 });
  });

  test("a segment that begins within the bucket the one before ended in goes on in it, as points would", () => {
    const loss = Series.of("loss", [wire(0, 8, 0, 5), wire(0, 8, 1, 6), wire(8, 16, 1, 7)]);
    expect(loss.main.buckets.map(({ x0, n, min, max }) => [x0, n, min, max])).toEqual([
      [0, 16, 5, 6],
      [8, 8, 7, 7],
    ]);
  });

  test("its segments stand as if they had been watched", () => {
    const loss = Series.of("loss", [wire(0, 2, 0, 5), wire(2, 4, 0, 4), wire(4, 6, 0, 3), wire(2, 4, 1, 40)]);
    expect(lasts(loss)).toEqual([5, 40]);
    expect(faint(loss)).toEqual([
      [2, 4],
      [4, 3],
    ]);
    loss.append(column([0, 0, 7]));
    expect(lasts(loss)).toEqual([7]);
    expect(faint(loss)).toEqual([
      [0, 5],
      [2, 40],
      [4, 3],
    ]);
  });

  test("a loss that ended as NaN reads NaN", () => {
    expect(Series.of("loss", [wire(0, 2, 0, 5), wire(2, 4, 0, "nan")]).last).toBe("nan");
    expect(Series.of("loss", [{ ...wire(0, 2, 0, "nan"), last: null }]).last).toBe("nan");
    expect(Series.of("loss", []).last).toBeNull();
  });

  test("more buckets than there is room for are joined", () => {
    const many = Array.from({ length: 10_000 }, (_, i) => wire(i * 2, i * 2 + 2, 0, i));
    const loss = Series.of("loss", many);
    expect(loss.main.buckets.length).toBeLessThanOrEqual(MAX_ENTRIES);
    expect(loss.main.extent.n).toBe(20_000);
  });
});
