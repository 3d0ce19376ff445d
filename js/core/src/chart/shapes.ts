// Where things stand on the canvas, computed from buckets: pure, in canvas pixels.

import { absorb, leadsTo, middle, startOf, type Bucket } from "../data/bucket";

/** From a value to its pixel. */
export type Scale = (value: number) => number;

/** How many steps a bucket that is drawn covers: `least` at least, and a power of two of those of the series. */
export function drawnWidth(width: number, least: number): number {
  return width * 2 ** Math.max(0, Math.ceil(Math.log2(least / width)));
}

/** Buckets put together to wider ones, on their boundaries: like those of the series they stay where they are. */
export function grouped(buckets: readonly Bucket[], width: number, wider: number): readonly Bucket[] {
  if (wider === width) return buckets;
  const groups: Bucket[] = [];
  let open: Bucket | undefined;
  for (const bucket of buckets) {
    const x0 = startOf(bucket.x0, wider);
    if (open?.x0 === x0) absorb(open, bucket);
    else groups.push((open = { ...bucket, x0 }));
  }
  return groups;
}

export interface Column {
  left: number;
  right: number;
  min: number;
  max: number;
}

/** What lies between least and greatest, in columns of whole pixels that never overlap, of one at least. */
export function bandColumns(buckets: readonly Bucket[], width: number, x: Scale): Column[] {
  const columns: Column[] = [];
  for (const { x0, min, max } of buckets) {
    if (min === null || max === null || min === max) continue;
    const left = Math.max(Math.round(x(x0 - 0.5)), columns[columns.length - 1]?.right ?? -Infinity);
    columns.push({ left, right: Math.max(left + 1, Math.round(x(x0 + width - 0.5))), min, max });
  }
  return columns;
}

/**
 * What stands out from the columns beside it by more than `tall`, and would be too faint in a band; `thin` is how wide it
 * is drawn. It must begin among them: a steep slope is no spike.
 */
export function spikes(columns: readonly Column[], tall: number, thin: number): Column[] {
  const found: Column[] = [];
  columns.forEach(({ left, right, min, max }, k) => {
    if (max - min <= tall) return;
    const beside = columns.slice(Math.max(0, k - 1), k + 2).filter((other) => other.right === left || other.left === right);
    const among = beside.map((other) => (other.min + other.max) / 2);
    const above = Math.max(min, ...beside.map((other) => other.max));
    const below = beside.length > 0 ? Math.min(max, ...beside.map((other) => other.min)) : min;
    const from = Math.round((left + right - thin) / 2);
    if (max - above > tall && (beside.length === 0 || min <= Math.max(...among))) found.push({ left: from, right: from + thin, min: above, max });
    if (below - min > tall && max >= Math.min(...among)) found.push({ left: from, right: from + thin, min, max: below });
  });
  return found;
}

/** The x of each mark for values that are not finite; those that would cover one another share one. */
export function badMarks(buckets: readonly Bucket[], width: number, x: Scale, size: number): number[] {
  const marks: number[] = [];
  for (const bucket of buckets) {
    if (bucket.nan + bucket.inf === 0) continue;
    const at = x(middle(bucket, width));
    if (marks.length === 0 || at - marks[marks.length - 1]! >= size) marks.push(at);
  }
  return marks;
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

export interface Range {
  min: number;
  max: number;
}

/** A little room above and below; down to zero where zero is near, so that a loss curve shows its true height. */
export function paddedRange(low: number, high: number): Range {
  if (low > high) return { min: 0, max: 1 };
  if (low === high) {
    const room = Math.abs(low) / 2 || 1;
    return { min: low >= 0 && low - room <= 0 ? 0 : low - room, max: high + room };
  }
  const room = (high - low) * 0.06;
  return { min: low >= 0 && low < high / 2 ? 0 : low - room, max: high + room };
}

/**
 * From the least to the greatest value of the curves. What was superseded may widen it to twice the height on each
 * side and no more: a run that exploded and was taken back must not flatten the one that counts.
 */
export function valueRange(curves: readonly { main: { extent: Range }; superseded: { extent: Range } }[]): Range {
  let min = Math.min(...curves.map(({ main }) => main.extent.min));
  let max = Math.max(...curves.map(({ main }) => main.extent.max));
  const room = max > min ? max - min : Infinity;
  const [floor, ceiling] = min > max ? [-Infinity, Infinity] : [min - room, max + room];
  for (const { superseded } of curves) {
    min = Math.min(min, Math.max(superseded.extent.min, floor));
    max = Math.max(max, Math.min(superseded.extent.max, ceiling));
  }
  return { min, max };
}
