// The moving average that curves are smoothed by: TensorBoard's, debiased, begun anew in each segment, as the server has it.

import type { Bucket } from "./bucket";

/** s = w·s + (1 − w)·v at each finite point, shown as s / (1 − wⁿ) behind n of them; 0 < w < 1. */
export class Average {
  private sum = 0;
  /** wⁿ: how much of s still is the nothing that it began with. */
  private missing = 1;

  constructor(private readonly weight: number) {}

  /** As it is behind `count` points, where it is shown as `shown`. */
  static behind(weight: number, shown: number, count: number): Average {
    const average = new Average(weight);
    average.missing = weight ** count;
    average.sum = shown * (1 - average.missing);
    return average;
  }

  /** Takes in `n` points of about this value. */
  add(value: number, n = 1): number {
    const kept = n === 1 ? this.weight : this.weight ** n;
    this.sum = kept * this.sum + (1 - kept) * value;
    this.missing *= kept;
    return this.sum / (1 - this.missing);
  }
}

/** The average at each bucket, null where one has nothing finite. It is exact as long as each bucket holds a single point. */
export function averages(buckets: readonly Bucket[], weight: number): (number | null)[] {
  let average = new Average(weight);
  let segment = buckets[0]?.segment.id;
  return buckets.map(({ last, n, nan, inf, segment: { id } }) => {
    if (id !== segment) average = new Average(weight);
    segment = id;
    return last === null ? null : average.add(last, n - nan - inf);
  });
}
