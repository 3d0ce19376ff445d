// Curves on a canvas: the little of uPlot that the views use, behind an interface of our own.

import uPlot from "uplot";
import type { Series } from "../data/series";
import { Join, type Table } from "../data/table";
import { drawCurves, drawMarks, type Colored } from "./curves";
import { paddedRange, valueRange, type Range } from "./shapes";

export interface Curve {
  label: string;
  /** The name of a CSS custom property, looked up at every drawing, so that a theme switch needs no new plot. */
  color: string;
  /** Marks each point while they stand apart: for series that are sparse by nature. */
  marks?: boolean;
}

export interface PlotOptions {
  curves: Curve[];
  height: number;
  /** Axis labels; without them only the grid is drawn. */
  labelled: boolean;
  /** Plots with the same key move their cursor together. */
  cursorKey: string;
  color(property: string): string;
  tick(value: number): string;
  /** The hovered index of the table and where the cursor stands in the plotting area; null when it left. */
  hover(at: { index: number; left: number; width: number } | null): void;
}

/** Marks nearer to each other than this, in CSS pixels, are a worse line. */
const MARKS_APART = 12;

export class Plot {
  private plot: uPlot | null = null;
  private readonly join = new Join();
  private series: readonly Series[] = [];
  private x: Range = { min: 0, max: 1 };

  constructor(
    private readonly host: HTMLElement,
    private readonly options: PlotOptions,
  ) {}

  /** The rows that the cursor goes through. */
  get table(): Table {
    return this.join.table;
  }

  /** Draws a series for each curve between these steps, if there are any. Nothing is drawn while the host has no width (a hidden tab). */
  show(series: readonly Series[], x: Range): void {
    this.series = series;
    this.join.update(series);
    const min = Number.isFinite(x.min) ? x.min : 0;
    this.x = x.max > min ? x : { min, max: min + 1 };
    if (!this.plot) {
      this.fit();
      return;
    }
    this.plot.setData(this.data(), false);
    this.scale(this.plot);
  }

  /** Takes the host's width; makes the canvas the first time there is one. */
  fit(): void {
    const width = Math.floor(this.host.clientWidth);
    if (width === 0) return;
    if (!this.plot) {
      this.plot = new uPlot(this.settings(width), this.data(), this.host);
      this.scale(this.plot);
    } else if (this.plot.width !== width) {
      this.plot.setSize({ width, height: this.options.height });
    }
  }

  recolor(): void {
    this.plot?.redraw(false, true);
  }

  /** Moves the cursor to a point, as the mouse would. */
  point(index: number): void {
    const step = this.table.x[index];
    if (this.plot && step !== undefined) this.plot.setCursor({ left: this.plot.valToPos(step, "x"), top: 0 });
  }

  unpoint(): void {
    this.plot?.setCursor({ left: -10, top: -10 });
  }

  destroy(): void {
    this.plot?.destroy();
    this.plot = null;
  }

  private data(): uPlot.AlignedData {
    const { x, ys } = this.table;
    return [x, ...(ys.length > 0 ? ys : this.options.curves.map(() => []))];
  }

  private colored(): Colored[] {
    return this.series.map((series, k) => ({ series, color: this.options.color(this.options.curves[k]!.color) }));
  }

  private scale(plot: uPlot): void {
    const y = valueRange(this.series);
    plot.batch(() => {
      plot.setScale("x", this.x);
      plot.setScale("y", paddedRange(y.min, y.max));
    });
  }

  private settings(width: number): uPlot.Options {
    const { curves, height, labelled, cursorKey, color, hover } = this.options;
    const line = (property: string) => (): string => color(property);
    const axis: uPlot.Axis = {
      stroke: line("--tl-dim"),
      font: `10px ${getComputedStyle(this.host).fontFamily || "sans-serif"}`,
      grid: { stroke: line("--tl-grid"), width: 1 },
      ticks: { show: false },
      // An empty plot has a grid but nothing to count. For no text, null: the empty one is drawn, and has styles computed.
      values: (_plot, splits) => splits.map((v) => (labelled && v != null && this.table.x.length ? this.options.tick(v) : null)),
    };
    return {
      width,
      height,
      // Whole pixels would turn a gentle slope into stairs.
      pxAlign: 0,
      padding: labelled ? [8, 22, 0, 0] : [6, 1, 2, 1],
      legend: { show: false },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        { ...axis, size: labelled ? 24 : 0, gap: 6, space: 70, grid: { show: false }, incrs: WHOLE_STEPS },
        { ...axis, size: labelled ? 44 : 0, gap: 8, space: labelled ? 44 : 30 },
      ],
      series: [
        {},
        ...curves.map((curve): uPlot.Series => ({
          label: curve.label,
          // The line is ours; uPlot has the cursor and the points.
          paths: () => null,
          points: {
            // A single point is no line and would be invisible.
            show: (plot, k) => {
              const count = this.series[k - 1]?.main.buckets.length ?? 0;
              return count < 2 || (curve.marks === true && count * MARKS_APART < plot.over.clientWidth);
            },
            size: 6,
            width: 1.6,
            stroke: line(curve.color),
            fill: line("--tl-bg"),
          },
        })),
      ],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: {
          size: 7,
          width: 1.6,
          stroke: (_plot, k) => color(curves[k - 1]?.color ?? "--tl-dim"),
          fill: () => color("--tl-bg"),
        },
        sync: { key: cursorKey, scales: ["x", null] },
      },
      hooks: {
        drawAxes: [(plot) => drawCurves(plot, this.colored())],
        draw: [(plot) => drawMarks(plot, this.colored(), color("--tl-amber"))],
        setCursor: [
          (plot) => {
            const { idx, left } = plot.cursor;
            const inside = idx != null && left != null && left >= 0;
            hover(inside ? { index: idx, left, width: plot.over.clientWidth } : null);
          },
        ],
      },
    };
  }
}

// Steps are whole, so no axis may count in halves.
const WHOLE_STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
