// One bucket of a curve: what the values of a run of steps came to, and how buckets are put together.

import type { WireBucket, WireNumber } from "../wire/frames";

/** Finite, or null: the chart's scale breaks on infinities, and a gap is the honest picture of a NaN. */
export function drawable(value: WireNumber | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Covers its axis from `x0` on, as far as its curve's width, a power of two, says. */
export interface Bucket {
  x0: number;
  /** Of its newest point, in Unix seconds; 0 where that is not known. */
  time: number;
  /** Of its finite values; null where it has none. */
  min: number | null;
  max: number | null;
  last: number | null;
  /** How many points, and how many of those were NaN or infinite. */
  n: number;
  nan: number;
  inf: number;
  /** The moving average at its last finite value, where the server told it. */
  smoothed?: number | null;
  /** Which way through the steps it is of, from one time that they went back to the next. */
  segment: Segment;
}

/** Known by its `id`; `from` is the one it went on from, −1 for none. */
export interface Segment {
  readonly id: number;
  readonly from: number;
}

/** Whether a line leads from one bucket to another. */
export function leadsTo(before: Bucket, bucket: Bucket): boolean {
  return before.segment.id === bucket.segment.id || before.segment.id === bucket.segment.from;
}

/** Where a bucket is drawn: in the middle of the steps that it covers, or of the time. */
export function middle(x0: number, width: number, grain: Grain): number {
  return x0 + (width - grain) / 2;
}

/** How far apart neighbours on an axis are at least: 1 for steps, 0 where there is always something in between. */
export type Grain = 0 | 1;

/** The start of the bucket that an x belongs to. Steps may be negative, and too large for bit operations. */
export function startOf(x: number, width: number): number {
  return Math.floor(x / width) * width;
}

export function bucketOfPoint(x0: number, time: number, sent: WireNumber, segment: Segment): Bucket {
  const value = drawable(sent);
  const infinite = sent === "inf" || sent === "-inf";
  return { x0, time, min: value, max: value, last: value, n: 1, nan: value === null && !infinite ? 1 : 0, inf: infinite ? 1 : 0, segment };
}

export function bucketOfWire(wire: WireBucket, width: number, segment: Segment): Bucket {
  const { x0, min, max, last, n, nan, inf, smoothed } = wire;
  return { x0: startOf(x0, width), time: 0, min: drawable(min), max: drawable(max), last: drawable(last), n, nan, inf, smoothed, segment };
}

/** Takes in what came later. */
export function absorb(bucket: Bucket, later: Bucket): void {
  bucket.time = later.time || bucket.time;
  bucket.min = least(bucket.min, later.min);
  bucket.max = greatest(bucket.max, later.max);
  // A NaN among other values is marked where it was; it need not tear the line.
  bucket.last = later.last ?? bucket.last;
  bucket.n += later.n;
  bucket.nan += later.nan;
  bucket.inf += later.inf;
  bucket.smoothed = later.smoothed ?? bucket.smoothed;
  bucket.segment = later.segment;
}

/** The same for a single point, without making a bucket of it first: there may be a million. */
export function absorbPoint(bucket: Bucket, time: number, sent: WireNumber, segment: Segment): void {
  bucket.time = time || bucket.time;
  bucket.n += 1;
  bucket.segment = segment;
  const value = drawable(sent);
  if (value !== null) {
    bucket.min = least(bucket.min, value);
    bucket.max = greatest(bucket.max, value);
    bucket.last = value;
  } else if (sent === "inf" || sent === "-inf") bucket.inf += 1;
  else bucket.nan += 1;
}

/** Its last value in the wire's words; of infinities a bucket does not know the sign. */
export function lastOf(bucket: Bucket | undefined): WireNumber {
  if (!bucket || bucket.last !== null) return bucket?.last ?? null;
  return bucket.inf > bucket.nan ? "inf" : "nan";
}

function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}

function greatest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
}
