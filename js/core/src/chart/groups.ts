// Buckets put together as the pixels need them: so a curve looks the same however it came, and costs the same however long it is.

import { leadsTo, middle, startOf, type Bucket, type Grain } from "../data/bucket";
import { lowerBound } from "../data/curve";
import type { Range } from "../data/lens";

/** What is drawn as one: some buckets in a row. */
export interface Group {
  x0: number;
  width: number;
  min: number | null;
  max: number | null;
  last: number | null;
  smoothed: number | null;
  n: number;
  /** How many of its points are NaN or infinite. */
  bad: number;
}

/** How much of the axis a group covers: `least` at least, and a power of two of its series' buckets. */
export function drawnWidth(width: number, least: number): number {
  return width * 2 ** Math.max(0, Math.ceil(Math.log2(least / width)));
}

/** Where a group is drawn. */
export function middleOf({ x0, width }: Group, grain: Grain): number {
  return middle(x0, width, grain);
}

/**
 * The buckets of `width` that are seen in a range, and one on either side, where lines come from and go to. Each group is as
 * wide as `wideAt` says for where it begins, more and more perhaps, and lies on a boundary of that, so that it stays where it is.
 */
export function grouped(
  buckets: readonly Bucket[],
  width: number,
  seen: Range,
  wideAt: (x: number) => number,
  smoothed: readonly (number | null)[] | null = null,
): Group[] {
  const groups: Group[] = [];
  const first = Math.max(0, lowerBound(buckets, seen.min - width) - 1);
  let open: Group | undefined;
  for (let k = first; k < buckets.length; k += 1) {
    const bucket = buckets[k]!;
    const average = (smoothed ? smoothed[k] : bucket.smoothed) ?? null;
    if (open && bucket.x0 < open.x0 + open.width) {
      join(open, bucket, average);
      continue;
    }
    if (open && open.x0 > seen.max) break;
    const wide = wideAt(bucket.x0);
    const { min, max, last, n, nan, inf } = bucket;
    const end = startOf(bucket.x0, wide) + wide;
    const x0 = Math.max(end - wide, open ? open.x0 + open.width : -Infinity);
    groups.push((open = { x0, width: end - x0, min, max, last, smoothed: average, n, bad: nan + inf }));
  }
  return groups;
}

function join(group: Group, { min, max, last, n, nan, inf }: Bucket, smoothed: number | null): void {
  if (min !== null && (group.min === null || min < group.min)) group.min = min;
  if (max !== null && (group.max === null || max > group.max)) group.max = max;
  group.last = last ?? group.last;
  group.smoothed = smoothed ?? group.smoothed;
  group.n += n;
  group.bad += nan + inf;
}

/** The lines of what was superseded. Each begins where it left the curve, if that still stands: at the bucket before it. */
export function supersededRuns(superseded: readonly Bucket[], main: readonly Bucket[]): Bucket[][] {
  const runs: Bucket[][] = [];
  let run: Bucket[] | undefined;
  let before: Bucket | undefined;
  let k = 0;
  for (const bucket of superseded) {
    if (!run || !before || !leadsTo(before, bucket)) {
      while (k < main.length && main[k]!.x0 < bucket.x0) k += 1;
      const left = main[k - 1];
      runs.push((run = left && leadsTo(left, bucket) ? [left] : []));
    }
    run.push(bucket);
    before = bucket;
  }
  return runs;
}
