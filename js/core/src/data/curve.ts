// A run of buckets of one width, in the order of their steps.

import { absorb, absorbPoint, bucketOfPoint, startOf, type Bucket, type Segment } from "./bucket";
import type { WireNumber } from "../wire/frames";

/** What all buckets come to: least and greatest value, ±∞ where there is none, and how many points of which kind. */
export interface Extent {
  min: number;
  max: number;
  n: number;
  nan: number;
  inf: number;
}

export class Curve {
  readonly buckets: Bucket[] = [];
  /** Grows when anything but the end has changed: what was made from the buckets before must be made again. */
  edition = 0;
  /** Kept up to date with each point, as it is asked for with every frame. */
  extent: Extent = nothing();

  get end(): Bucket | undefined {
    return this.buckets[this.buckets.length - 1];
  }

  /** Adds a point to the end, or behind it; `x0` is the start of its bucket. */
  addPoint(x0: number, time: number, value: WireNumber, segment: Segment): void {
    const end = this.end;
    if (end?.x0 === x0) absorbPoint(end, time, value, segment);
    else this.buckets.push(bucketOfPoint(x0, time, value, segment));
    const { extent } = this;
    extent.n += 1;
    if (typeof value === "number") {
      if (value < extent.min) extent.min = value;
      if (value > extent.max) extent.max = value;
    } else if (value === "inf" || value === "-inf") extent.inf += 1;
    else extent.nan += 1;
  }

  /** The same for a whole bucket. */
  add(bucket: Bucket): void {
    include(this.extent, bucket);
    const end = this.end;
    if (end?.x0 === bucket.x0) absorb(end, bucket);
    else this.buckets.push(bucket);
  }

  /** Takes out the buckets that begin at `x0` or later. */
  cutFrom(x0: number): Bucket[] {
    const at = lowerBound(this.buckets, x0);
    if (at === this.buckets.length) return [];
    const rest = this.buckets.splice(at);
    this.changed();
    return rest;
  }

  /** Lays a newer run over what is here: between its ends nothing of the older remains. */
  cover(newer: readonly Bucket[]): void {
    const first = newer[0];
    const last = newer[newer.length - 1];
    if (!first || !last) return;
    const from = lowerBound(this.buckets, first.x0);
    const to = lowerBound(this.buckets, last.x0 + 1);
    this.buckets.splice(from, to - from, ...newer);
    this.changed();
  }

  /** Puts buckets together that lie in one of this width, a multiple of the one so far. */
  widen(width: number): void {
    let kept = -1;
    for (const bucket of this.buckets) {
      const x0 = startOf(bucket.x0, width);
      const before = this.buckets[kept];
      if (before?.x0 === x0) {
        absorb(before, bucket);
      } else {
        bucket.x0 = x0;
        this.buckets[++kept] = bucket;
      }
    }
    this.buckets.length = kept + 1;
    this.edition += 1;
  }

  /** Index of the last bucket that begins at `x` or before it; -1 where there is none. */
  indexAt(x: number): number {
    const at = lowerBound(this.buckets, x);
    return this.buckets[at]?.x0 === x ? at : at - 1;
  }

  private changed(): void {
    this.edition += 1;
    this.extent = nothing();
    for (const bucket of this.buckets) include(this.extent, bucket);
  }
}

function nothing(): Extent {
  return { min: Infinity, max: -Infinity, n: 0, nan: 0, inf: 0 };
}

function include(extent: Extent, { min, max, n, nan, inf }: Bucket): void {
  if (min !== null && min < extent.min) extent.min = min;
  if (max !== null && max > extent.max) extent.max = max;
  extent.n += n;
  extent.nan += nan;
  extent.inf += inf;
}

/** Index of the first bucket that begins at `x0` or later. */
export function lowerBound(buckets: readonly Bucket[], x0: number): number {
  let low = 0;
  let high = buckets.length;
  while (low < high) {
    const between = (low + high) >> 1;
    if (buckets[between]!.x0 < x0) low = between + 1;
    else high = between;
  }
  return low;
}
