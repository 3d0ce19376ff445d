// Whether a curve rises or falls, in the sense of somebody who is told and does not see it.

import type { Bucket } from "./bucket";

export type Trend = "rising" | "falling" | "level";

/** The newest part of a curve that its trend is taken from. */
const PART = 0.25;
const LEAST = 6;
/** A change below this share of what the part's values span is no trend. */
const CLEAR = 0.3;

/**
 * The trend of the last quarter: a straight line through its values, and how far that goes compared with how far the values lie
 * apart. Null where there are too few to tell.
 */
export function trendOf(buckets: readonly Bucket[]): Trend | null {
  const part = buckets.slice(-Math.max(LEAST, Math.ceil(buckets.length * PART)));
  const values = part.flatMap(({ last }) => last ?? []);
  if (values.length < LEAST) return null;
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let along = 0;
  let square = 0;
  values.forEach((value, k) => {
    along += (k - middle) * (value - mean);
    square += (k - middle) ** 2;
  });
  const change = (along / square) * (values.length - 1);
  const span = Math.max(...values) - Math.min(...values);
  if (span === 0 || Math.abs(change) < CLEAR * span) return "level";
  return change > 0 ? "rising" : "falling";
}
