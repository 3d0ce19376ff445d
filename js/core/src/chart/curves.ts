// How curves are drawn: lines over bands from least to greatest, superseded runs behind, marks where a value was not finite.

import type uPlot from "uplot";
import { middle, type Bucket } from "../data/bucket";
import type { Series } from "../data/series";
import { badMarks, bandColumns, drawnWidth, grouped, spikes, supersededRuns, type Column, type Scale } from "./shapes";

export interface Colored {
  series: Series;
  /** As the canvas takes it. */
  color: string;
}

/** CSS pixels. */
const LINE_WIDTH = 1.4;
const MARK_SIZE = 7;
/** A bucket that is drawn is at least so wide: what is closer is a smear, and takes long to draw. */
const APART = 1.6;
const BAND_ALPHA = 0.32;
const SPIKE_ALPHA = 0.75;
const SUPERSEDED_ALPHA = 0.35;
/** What stands out from the band beside it by this share of the plot's height is a spike. */
const TALL = 0.08;

/**
 * Draws the curves in buckets as wide as the pixels need them: so one looks the same whether it was watched from the
 * beginning or came as a snapshot, and costs the same however long it is.
 */
export function drawCurves(plot: uPlot, curves: readonly Colored[]): void {
  const { ctx } = plot;
  const { x, y, step_pixels } = scalesOf(plot);
  const shapes = curves.map(({ series: { main, superseded, width }, color }) => {
    const wide = drawnWidth(width, APART / step_pixels);
    const buckets = grouped(main.buckets, width, wide);
    const runs = supersededRuns(superseded.buckets, main.buckets).map((run) => grouped(run, width, wide));
    return { color, wide, buckets, runs, band: bandColumns(buckets, wide, x) };
  });
  const fill = (columns: readonly Column[]): void => {
    for (const { left, right, min, max } of columns) ctx.fillRect(left, y(max), right - left, y(min) - y(max));
  };
  onPlot(plot, () => {
    ctx.lineWidth = LINE_WIDTH * devicePixelRatio;
    ctx.lineJoin = ctx.lineCap = "round";
    ctx.globalAlpha = SUPERSEDED_ALPHA;
    for (const { color, runs, wide } of shapes) {
      ctx.strokeStyle = color;
      for (const run of runs) strokeLine(ctx, run, wide, x, y);
    }
    for (const { color, band } of shapes) {
      ctx.fillStyle = color;
      ctx.globalAlpha = BAND_ALPHA;
      fill(band);
      ctx.globalAlpha = SPIKE_ALPHA;
      fill(spikes(band, heightOf(plot) * TALL, Math.round(LINE_WIDTH * devicePixelRatio)));
    }
    ctx.globalAlpha = 1;
    for (const { color, buckets, wide } of shapes) {
      ctx.strokeStyle = color;
      strokeLine(ctx, buckets, wide, x, y);
    }
  });
}

/** Marks at the bottom edge where values were NaN or infinite: their own shape, so that it is not the colour alone that tells. */
export function drawMarks(plot: uPlot, curves: readonly Colored[], color: string): void {
  const { ctx, bbox } = plot;
  const bad = curves.filter(({ series }) => series.main.extent.nan + series.main.extent.inf > 0);
  if (bad.length === 0) return;
  const { x } = scalesOf(plot);
  const size = MARK_SIZE * devicePixelRatio;
  const bottom = bbox.top + bbox.height;
  onPlot(plot, () => {
    ctx.fillStyle = color;
    for (const { series } of bad) {
      ctx.beginPath();
      for (const at of badMarks(series.main.buckets, series.width, x, size)) {
        ctx.moveTo(at - size / 2, bottom);
        ctx.lineTo(at, bottom - size);
        ctx.lineTo(at + size / 2, bottom);
      }
      ctx.fill();
    }
  });
}

/** A line through the last values, with gaps where there is none; a value between gaps is a dot. */
function strokeLine(ctx: CanvasRenderingContext2D, buckets: readonly Bucket[], width: number, x: Scale, y: Scale): void {
  ctx.beginPath();
  let gap = true;
  for (const bucket of buckets) {
    if (bucket.last !== null) {
      const [left, top] = [x(middle(bucket, width)), y(bucket.last)];
      if (gap) ctx.moveTo(left, top);
      ctx.lineTo(left, top);
    }
    gap = bucket.last === null;
  }
  ctx.stroke();
}

/** Runs `draw` with nothing drawn beyond the plotting area, and leaves the context as uPlot believes it to be. */
function onPlot({ ctx, bbox }: uPlot, draw: () => void): void {
  const room = LINE_WIDTH * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - room, bbox.top - room, bbox.width + 2 * room, bbox.height + 2 * room);
  ctx.clip();
  draw();
  ctx.restore();
}

function heightOf({ scales: { y } }: uPlot): number {
  return (y!.max ?? 1) - (y!.min ?? 0);
}

/** The plot's linear scales: called for thousands of buckets, where valToPos would look each of them up anew. */
function scalesOf(plot: uPlot): { x: Scale; y: Scale; step_pixels: number } {
  const { bbox, scales } = plot;
  const { min, max } = scales.x!;
  const wide = bbox.width / ((max ?? 1) - (min ?? 0));
  const high = bbox.height / heightOf(plot);
  const left = bbox.left - (min ?? 0) * wide;
  const bottom = bbox.top + bbox.height + (scales.y!.min ?? 0) * high;
  return { x: (value) => left + value * wide, y: (value) => bottom - value * high, step_pixels: wide / devicePixelRatio };
}
