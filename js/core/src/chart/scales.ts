// From values to pixels and back: straight or logarithmic, and which part of the values a plot shows.

import type { Range } from "../data/lens";
import type { Group } from "./groups";

/** From a value to its pixel. */
export type Scale = (value: number) => number;

/** What an axis counts in: the values themselves, or their powers of ten. Those at or below zero have no place among these. */
export interface Measure {
  to(value: number): number;
  from(place: number): number;
}

export const LINEAR: Measure = { to: (value) => value, from: (place) => place };
export const LOG: Measure = { to: (value) => (value > 0 ? Math.log10(value) : NaN), from: (place) => 10 ** place };

/** The scale on which the ends of a range lie at two pixels. */
export function scaleOf({ to }: Measure, { min, max }: Range, first: number, last: number): Scale {
  const low = to(min);
  const each = (last - first) / (to(max) - low);
  return (value) => first + (to(value) - low) * each;
}

const NOTHING: Range = { min: Infinity, max: -Infinity };

/** A little room above and below; down to zero where zero is near, so that a loss curve shows its true height. */
export function paddedRange({ min: low, max: high }: Range): Range {
  if (low > high) return { min: 0, max: 1 };
  if (low === high) {
    const room = Math.abs(low) / 2 || 1;
    return { min: low >= 0 && low - room <= 0 ? 0 : low - room, max: high + room };
  }
  const room = (high - low) * 0.06;
  return { min: low >= 0 && low < high / 2 ? 0 : low - room, max: high + room };
}

/** The same on a logarithmic scale. */
export function paddedLogRange({ min, max }: Range): Range {
  if (!(min > 0) || min > max) return { min: 0.1, max: 1 };
  const room = min === max ? 2 : (max / min) ** 0.06;
  return { min: min / room, max: max * room };
}

/** One curve's groups, and those of what was superseded. */
export interface Ranged {
  groups: readonly Group[];
  runs: readonly (readonly Group[])[];
}

/**
 * From the least to the greatest value of the curves. What was superseded may widen it to twice the height on each
 * side and no more: a run that exploded and was taken back must not flatten the one that counts.
 */
export function valueRange(curves: readonly Ranged[], above = -Infinity): Range {
  const main = curves.reduce((range, { groups }) => widened(range, groups, above), NOTHING);
  const old = curves.reduce((range, { runs }) => runs.reduce((all, run) => widened(all, run, above), range), NOTHING);
  if (old.min > old.max) return main;
  const room = main.max > main.min ? main.max - main.min : Infinity;
  const [floor, ceiling] = main.min > main.max ? [-Infinity, Infinity] : [main.min - room, main.max + room];
  return { min: Math.min(main.min, Math.max(old.min, floor)), max: Math.max(main.max, Math.min(old.max, ceiling)) };
}

function widened({ min, max }: Range, groups: readonly Group[], above: number): Range {
  for (const group of groups) {
    if (group.max === null || group.max <= above) continue;
    if (group.max > max) max = group.max;
    const least = group.min! > above ? group.min! : (group.last ?? group.max) > above ? (group.last ?? group.max) : group.max;
    if (least < min) min = least;
  }
  return { min, max };
}

/** How many of a hundred values at each end may be outliers. */
const TAIL = 0.02;
/** What is not much further out than the rest is none, and need not be cut off. */
const NEAR = 0.5;

/** The range without outliers: what all but a few of the values need, and a bit more. */
export function clippedRange(curves: readonly Ranged[], measure: Measure): Range {
  const all = curves.flatMap(({ groups }) => groups.filter(({ last }) => last !== null && Number.isFinite(measure.to(last))));
  if (all.length === 0) return NOTHING;
  const lows = all.map(({ min, last }) => measure.to(min!) || measure.to(last!)).sort((a, b) => a - b);
  const highs = all.map(({ max }) => measure.to(max!)).sort((a, b) => a - b);
  const cut = Math.floor(all.length * TAIL);
  const [low, high] = [lows[cut]!, highs[highs.length - 1 - cut]!];
  const room = (high - low) * NEAR;
  return { min: measure.from(Math.max(lows[0]!, low - room)), max: measure.from(Math.min(highs[highs.length - 1]!, high + room)) };
}
