// How curves are drawn: lines over bands from least to greatest, smoothed ones over faint ones, superseded runs behind, marks below.

import type { Grain } from "../data/bucket";
import { middleOf, type Group } from "./groups";
import type { Box, Ink } from "./ink";
import { badMarks, bandColumns, spikes, type Column } from "./shapes";
import type { Scale } from "./scales";

/** A curve, as the pixels need it. */
export interface Drawn {
  color: string;
  grain: Grain;
  /** Where the x of its buckets lies on the axis: elapsed time is counted from the start of each job. */
  offset: number;
  groups: readonly Group[];
  runs: readonly (readonly Group[])[];
  smooth: boolean;
  /** Whether each point is marked where there is room. */
  points: boolean;
}

/** In CSS pixels. */
const LINE_WIDTH = 1.4;
const MARK_SIZE = 7;
const DOT_RADIUS = 2.6;
/** Points nearer to each other than this are a worse line. */
const DOTS_APART = 12;
const BAND_ALPHA = 0.32;
const SPIKE_ALPHA = 0.75;
const SUPERSEDED_ALPHA = 0.35;
/** Behind a smoothed curve. */
const FAINT = 0.3;
/** What stands out from the band beside it by this share of the plot's height is a spike. */
const TALL = 0.08;

/** `ratio`: canvas pixels to one of CSS. */
export function curveInk(curves: readonly Drawn[], x: Scale, y: Scale, box: Box, ratio: number, background: string): Ink[] {
  const [old, bands, raw, smooth, dots]: Ink[][] = [[], [], [], [], []];
  const width = LINE_WIDTH * ratio;
  const bottom = box.top + box.height;
  const rising: Scale = (value) => bottom - y(value);
  for (const curve of curves) {
    const { color, grain, offset, groups } = curve;
    const at: Scale = (value) => x(value - offset);
    const line = (through: readonly Group[], value: "last" | "smoothed"): number[] => through.flatMap((group) => [at(middleOf(group, grain)), group[value] === null ? NaN : y(group[value])]);
    const alpha = curve.smooth ? FAINT : 1;
    for (const run of curve.runs) old!.push({ kind: "line", points: line(run, "last"), color, width, alpha: SUPERSEDED_ALPHA * alpha });
    const columns = bandColumns(groups, grain, at, rising);
    bands!.push({ kind: "bars", bars: bars(columns, bottom), color, alpha: BAND_ALPHA * (curve.smooth ? 0.6 : 1) });
    bands!.push({ kind: "bars", bars: bars(spikes(columns, box.height * TALL, Math.round(width)), bottom), color, alpha: SPIKE_ALPHA * alpha });
    const points = line(groups, "last");
    raw!.push({ kind: "line", points, color, width, alpha });
    if (curve.smooth) smooth!.push({ kind: "line", points: line(groups, "smoothed"), color, width: width * 1.2 });
    // A single point is no line and would be invisible.
    if (groups.length === 1 || (curve.points && groups.length * DOTS_APART * ratio < box.width)) {
      dots!.push({ kind: "dots", points: placed(points), radius: DOT_RADIUS * ratio, color, fill: background, width });
    }
  }
  return [...old!, ...bands!, ...raw!, ...smooth!, ...dots!];
}

/** Without the gaps. */
function placed(points: readonly number[]): number[] {
  const found: number[] = [];
  for (let k = 0; k < points.length; k += 2) if (!Number.isNaN(points[k]! + points[k + 1]!)) found.push(points[k]!, points[k + 1]!);
  return found;
}

function bars(columns: readonly Column[], bottom: number): number[] {
  return columns.flatMap(({ left, right, min, max }) => [left, bottom - max, right - left, max - min]);
}

/** Marks at the bottom edge where values were NaN or infinite: their own shape, so that it is not the colour alone that tells. */
export function badInk(curves: readonly Drawn[], x: Scale, box: Box, ratio: number, color: string): Ink[] {
  const size = MARK_SIZE * ratio;
  const bottom = box.top + box.height;
  const shapes = curves.flatMap(({ groups, grain, offset }) =>
    badMarks(groups, grain, (value) => x(value - offset), size).map((at) => [at - size / 2, bottom, at, bottom - size, at + size / 2, bottom]),
  );
  return shapes.length > 0 ? [{ kind: "shapes", shapes, color }] : [];
}
