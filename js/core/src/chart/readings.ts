// What stands at one place of some curves: values for a read-out, rows for a table. Pure.

import { lastOf, type Bucket } from "../data/bucket";
import { clockSeconds, duration, epochs, seriesValue, stepsText, tick } from "../data/format";
import { __ } from "../i18n";
import type { Axis, Range } from "../data/lens";
import type { Line, Piece } from "../data/line";
import type { PlacedMark } from "../data/marks";
import type { Series } from "../data/series";
import type { WireNumber } from "../wire/frames";

export interface Reading {
  label: string;
  /** The custom property of its colour. */
  color: string;
  /** Where its bucket stands on the axis, and that in words. */
  x: number;
  text_x: string;
  /** Unix seconds. */
  time: number | null;
  value: WireNumber;
  smoothed: number | null;
  min: number | null;
  max: number | null;
  /** 0 where the curve has nothing here. */
  n: number;
  nan: number;
  inf: number;
  /** What was superseded here. */
  earlier: WireNumber | undefined;
  /** What happened here: only with the first of the readings. */
  notes: readonly string[];
}

interface Named {
  line: Line;
  label: string;
  color: string;
}

/** What is at `x`, one reading for each curve. */
export function readingsAt(curves: readonly Named[], x: number, axis: Axis, notes: readonly string[]): Reading[] {
  const all = curves.map(({ line }) => bucketAt(line, x));
  // Told by a curve that has its bucket right here, or else by the first that has one.
  const exact = curves.findIndex(({ line }, k) => all[k] && Math.abs(all[k].piece.series.middle(all[k].bucket) - line.offset - x) < 1e-9);
  const teller = exact >= 0 ? exact : all.findIndex((found) => found !== null);
  const told = all[teller];
  const text_x = told ? bucketText(told, curves[teller]!.line, axis) : placeText(x, axis);
  return curves.map(({ line, label, color }, k) => {
    const found = all[k];
    const nothing = { label, color, x, text_x, time: null, value: null, smoothed: null, min: null, max: null };
    if (!found) return { ...nothing, n: 0, nan: 0, inf: 0, earlier: undefined, notes: k === 0 ? notes : [] };
    const { bucket, index, piece } = found;
    const { series } = piece;
    const { min, max, n, nan, inf } = bucket;
    const old = series.superseded.buckets[series.superseded.indexAt(x + line.offset)];
    return {
      ...nothing,
      x: series.middle(bucket) - line.offset,
      time: bucket.time || (axis === "clock" ? series.middle(bucket) : null),
      value: lastOf(bucket),
      smoothed: (piece.smoothed ? piece.smoothed[index] : bucket.smoothed) ?? null,
      min,
      max,
      n,
      nan,
      inf,
      earlier: old && x + line.offset < old.x0 + series.width ? lastOf(old) : undefined,
      notes: k === 0 ? notes : [],
    };
  });
}

interface Found {
  bucket: Bucket;
  index: number;
  piece: Piece;
}

function bucketText({ bucket, piece: { series } }: Found, { offset }: Line, axis: Axis): string {
  return axis === "step" ? stepsText(bucket.x0, series.width) : placeText(series.middle(bucket) - offset, axis);
}

/** The bucket in force at an x: an eval loss holds until the next evaluation. Far behind the end there is none. */
function bucketAt({ pieces, offset }: Line, x: number): Found | null {
  const place = x + offset;
  const piece = [...pieces].reverse().find(({ from }) => from <= place);
  if (!piece) return null;
  const { buckets } = piece.series.main;
  const index = piece.series.main.indexAt(place);
  const bucket = buckets[index];
  if (!bucket) return null;
  const before = buckets[index - 1];
  const gone = index === buckets.length - 1 && before && place - bucket.x0 > FORGOTTEN * (bucket.x0 - before.x0) + piece.series.width;
  return gone ? null : { bucket, index, piece };
}

/** A curve's end stands for what is behind it for so many times the distance of its last two buckets. */
const FORGOTTEN = 1.5;

function placeText(x: number, axis: Axis): string {
  if (axis === "step") return stepsText(Math.round(x), 1);
  if (axis === "epoch") return __("epoch %1", Math.abs(x) < 10 ? String(Math.round(x * 1000) / 1000) : epochs(x));
  if (axis === "clock") return clockSeconds(x);
  return x >= 10 ? duration(x) : __("%1 s", tick(x));
}

/** The place of a bucket nearest to `x`, of any curve. */
export function nearest(lines: readonly Line[], x: number): number | null {
  let best: number | null = null;
  for (const place of lines.flatMap((line) => beside(line, x, x))) {
    if (best === null || Math.abs(place - x) < Math.abs(best - x)) best = place;
  }
  return best;
}

/** The next place with a bucket behind `x`, or before it. */
export function neighbour(lines: readonly Line[], x: number, forward: boolean): number | null {
  const places = lines.flatMap((line) => beside(line, x, x)).filter((place) => (forward ? place > x : place < x));
  return places.length === 0 ? null : forward ? Math.min(...places) : Math.max(...places);
}

/** The places of the buckets about an x: three of each curve. */
function beside({ pieces, offset }: Line, from: number, until: number): number[] {
  return pieces.flatMap((piece) => {
    const { series } = piece;
    const { buckets } = series.main;
    const at = series.main.indexAt(from + offset);
    const to = series.main.indexAt(until + offset);
    return buckets.slice(Math.max(0, at - 1), to + 3).flatMap((bucket) => (bucket.x0 >= piece.from && bucket.x0 < piece.until ? series.middle(bucket) - offset : []));
  });
}

/** The texts of the marks that stand within `room` of an x. */
export function notesAt(marks: readonly PlacedMark[], x: number, room: number): string[] {
  return [...new Set(marks.filter((mark) => Math.abs(mark.x - x) <= room).map(({ text }) => text))];
}

/** The curves as a table of at most so many rows, of what is seen: as people read numbers, or `plain`, all of their digits. */
export function rowsOf(curves: readonly (Named & { name: string })[], seen: Range, axis: Axis, most: number, plain = false): { head: string[]; rows: string[][] } {
  const head = [axisTitle(axis), ...curves.map(({ label }) => label)];
  const places = new Set<number>();
  for (const { line } of curves) {
    for (const { series, from, until } of line.pieces) {
      for (const bucket of series.main.buckets) {
        const x = series.middle(bucket) - line.offset;
        if (x >= seen.min && x <= seen.max && bucket.x0 >= from && bucket.x0 < until) places.add(x);
      }
    }
  }
  const all = [...places].sort((a, b) => a - b);
  const every = Math.max(1, Math.ceil(all.length / most));
  // Counted from the end, so that the newest is among them.
  const kept = all.filter((_, k) => (all.length - 1 - k) % every === 0);
  const rows = kept.map((x) => {
    const cells = curves.map(({ line, name }) => {
      const found = bucketAt(line, x);
      const here = found && exactly(found.piece.series, found.bucket, x + line.offset, every);
      return here ? (plain ? String(lastOf(found.bucket) ?? "") : seriesValue(name, lastOf(found.bucket))) : "";
    });
    return [plain ? String(x) : placeText(x, axis), ...cells];
  });
  return { head, rows };
}

/** Whether the bucket stands at this place; in a table that leaves rows out, whether it holds there. */
function exactly(series: Series, bucket: Bucket, place: number, every: number): boolean {
  return every > 1 || series.middle(bucket) === place;
}

export function axisTitle(axis: Axis): string {
  return { step: __("step"), epoch: __("epoch"), elapsed: __("elapsed"), clock: __("time") }[axis];
}
