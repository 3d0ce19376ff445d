// From curves to what is drawn of them: which groups of buckets, and between which values. Pure.

import { startOf } from "../data/bucket";
import type { LensState, Range } from "../data/lens";
import { APART, type Line, type Piece } from "../data/line";
import type { Drawn } from "./curves";
import { drawnWidth, grouped, supersededRuns, type Group } from "./groups";
import { LINEAR, LOG, clippedRange, paddedLogRange, paddedRange, valueRange, type Measure } from "./scales";

export interface Styled {
  line: Line;
  color: string;
  /** Each point is marked where there is room, and none is smoothed away. */
  points: boolean;
}

export interface Scene {
  x: Measure;
  y: Measure;
  seen: Range;
  values: Range;
  drawn: Drawn[];
}

export const isLogX = ({ logX, axis }: LensState): boolean => logX && axis !== "clock";

/** What is seen of curves in a plot so many CSS pixels wide. */
export function sceneOf(curves: readonly Styled[], lens: LensState, seen: Range, width: number): Scene {
  const x = isLogX(lens) ? LOG : LINEAR;
  const y = lens.logY ? LOG : LINEAR;
  const drawn = curves.map(({ line, color, points }): Drawn => {
    const { pieces, offset, main } = line;
    const place = { min: seen.min + offset, max: seen.max + offset };
    const each = width / (x.to(seen.max) - x.to(seen.min));
    const groups = pieces.flatMap((piece) => groupsOf(piece, place, x === LOG ? (at) => (APART * Math.LN10 * (at - offset)) / each : () => APART / each));
    const runs = main ? supersededRuns(main.superseded.buckets, main.main.buckets).map((run) => grouped(run, main.width, place, () => drawnWidth(main.width, APART / each))) : [];
    return { color, grain: main?.grain ?? 1, offset, groups, runs, smooth: lens.smoothing > 0 && !points, points };
  });
  const all = lens.clip ? clippedRange(drawn, y) : valueRange(drawn, lens.logY ? 0 : -Infinity);
  return { x, y, seen, values: lens.logY ? paddedLogRange(all) : paddedRange(all), drawn };
}

function groupsOf({ series, from, until, smoothed }: Piece, seen: Range, apart: (x: number) => number): Group[] {
  const { width, main } = series;
  const groups = grouped(main.buckets, width, seen, (x) => drawnWidth(width, apart(Math.max(x, width))), smoothed);
  return from === -Infinity && until === Infinity ? groups : groups.filter(({ x0 }) => x0 >= startOf(from, width) && x0 < until);
}

/** All of the axis that there is: where curves begin and end, and what is still to come of it where that is known. */
export function fullRange(spans: readonly Range[], expected: Range | null, log: boolean): Range {
  const all = expected ? [...spans, expected] : spans;
  let min = Math.min(...all.map((span) => span.min));
  let max = Math.max(...all.map((span) => span.max));
  if (!Number.isFinite(min)) [min, max] = [0, 1];
  if (log) {
    const above = all.map((range) => range.min).filter((least) => least > 0);
    if (!(min > 0)) min = above.length > 0 ? Math.min(...above) : Math.min(1, max > 0 ? max / 1000 : 1);
    return max > min ? { min, max } : { min, max: min * 10 };
  }
  return max > min ? { min, max } : { min, max: min + 1 };
}
