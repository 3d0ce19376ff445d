// One plot of curves, possibly of several jobs: uPlot's canvas, axes and pointer, behind an interface of our own.

import uPlot from "uplot";
import type { Lens, Range } from "../data/lens";
import { Line, type View } from "../data/line";
import { marksOf, type PlacedMark } from "../data/marks";
import type { Source } from "../data/source";
import { windowsOf, type Wish } from "../data/windows";
import { Cursor, moved, zoomed } from "./cursor";
import { badInk, curveInk } from "./curves";
import { HoverDots } from "./dots";
import { paint, type Ink } from "./ink";
import { markInk } from "./marking";
import { pngOf, svgOf, type Picture } from "./picture";
import { listenToPointer } from "./pointer";
import { nearest, neighbour, notesAt, readingsAt, rowsOf, type Reading } from "./readings";
import { LINEAR, scaleOf, type Scale } from "./scales";
import { fullRange, isLogX, sceneOf, type Scene } from "./scene";
import { axisTicks, valueTicks, type Ticks } from "./ticks";

export { Cursor, type Reading };

export interface PlotCurve {
  source: Source;
  name: string;
  label: string;
  /** The name of a CSS custom property, looked up at every drawing, so that a theme switch needs no new plot. */
  color: string;
  /** Marks each point while they stand apart: for series that are sparse by nature. */
  points?: boolean;
}

export interface PlotOptions {
  lens: Lens;
  /** Plots with the same one read the same place. */
  cursor: Cursor;
  height: number;
  /** Axis labels; without them only the grid is drawn. */
  labelled: boolean;
  color(property: string): string;
  /** What stands under the cursor, one per curve in order, and where that is in the plotting area; null when it left. */
  hover(readings: Reading[] | null, at: { left: number; width: number } | null): void;
}

interface Entry extends PlotCurve {
  line: Line;
}

/** A part of the axis no shorter than this is looked at. */
const LEAST = { step: 2, epoch: 1e-6, elapsed: 1e-3, clock: 1e-3 };
/** A mark belongs to what is this near to it, in CSS pixels. */
const NEAR = 5;
/** A picture is not made as small as a chart may stand in the page. */
const PICTURE = { least: 560, most: 960, height: 360 };

export class Plot {
  private plot: uPlot | null = null;
  private entries: Entry[] = [];
  private scene: Scene;
  private full: Range = { min: 0, max: 1 };
  private marks: PlacedMark[] = [];
  private drawn = "";
  private visible = true;
  private height: number;
  private frame = 0;
  private readonly dots: HoverDots;
  private readonly undo: (() => void)[];
  /** Called by the windows of its sources. */
  private readonly came = (): void => this.request();

  constructor(
    private readonly host: HTMLElement,
    private readonly options: PlotOptions,
  ) {
    const { lens, cursor } = options;
    this.height = options.height;
    this.scene = sceneOf([], lens.state, this.full, 1);
    this.dots = new HoverDots();
    this.undo = [lens.subscribe(this.came), cursor.subscribe(() => this.tell())];
  }

  /** How many points the first curve is made of. */
  get points(): number {
    return this.entries[0]?.line.store?.main.extent.n ?? 0;
  }

  /** What is seen of the axis. */
  get range(): Range {
    return this.scene.seen;
  }

  setCurves(curves: readonly PlotCurve[]): void {
    const before = new Map(this.entries.map((entry) => [entry, entry.line]));
    const known = ({ source, name }: PlotCurve): Line | undefined => [...before.keys()].find((entry) => entry.source === source && entry.name === name)?.line;
    for (const { source } of this.entries) if (!curves.some((curve) => curve.source === source)) windowsOf(source).want(this.came, []);
    this.entries = curves.map((curve) => ({ ...curve, line: known(curve) ?? new Line(curve.source, curve.name) }));
    this.drawn = "";
    this.update();
  }

  /** Takes in what came; draws only if something changed, and only while it is visible and has a width. */
  update(): void {
    if (!this.visible) return;
    if (!this.plot) this.fit();
    const { plot } = this;
    if (!plot) return;
    this.resolve(plot);
    const { lens } = this.options;
    const job = this.entries[0]?.source.store.job;
    const { state } = lens;
    const key = [plot.width, this.height, JSON.stringify(state), this.full.min, this.full.max, job?.marks?.length, job?.alerts?.length, ...this.entries.map(({ line }) => line.version)].join("|");
    if (key === this.drawn) return;
    this.drawn = key;
    const alone = new Set(this.entries.map(({ source }) => source)).size === 1;
    this.marks = job && alone ? marksOf(job, state.axis) : [];
    const width = plot.bbox.width / devicePixelRatio;
    this.scene = sceneOf(this.styled(), state, this.seen(), Math.max(1, width));
    const { x, y, seen, values } = this.scene;
    plot.batch(() => {
      plot.setScale("x", { min: x.to(seen.min), max: x.to(seen.max) });
      plot.setScale("y", { min: y.to(values.min), max: y.to(values.max) });
      plot.redraw(false, false);
    });
    this.tell();
  }

  /** What is off screen asks for nothing and draws nothing. */
  setVisible(visible: boolean): void {
    this.visible = visible;
    if (visible) this.request();
    else for (const { source } of this.entries) windowsOf(source).want(this.came, []);
  }

  setHeight(px: number): void {
    if (px === this.height) return;
    this.height = px;
    this.plot?.setSize({ width: this.plot.width, height: px });
    this.drawn = "";
    this.request();
  }

  /** Takes the host's width; makes the canvas the first time there is one. */
  fit(): void {
    const width = Math.floor(this.host.clientWidth);
    if (width === 0) return;
    if (!this.plot) {
      this.plot = new uPlot(this.settings(width), [[0, 1]], this.host);
      this.plot.over.append(this.dots.element);
      this.undo.push(this.listen(this.plot));
      this.drawn = "";
      this.update();
    } else if (this.plot.width !== width) {
      this.plot.setSize({ width, height: this.height });
      this.drawn = "";
      this.request();
    }
  }

  recolor(): void {
    this.plot?.redraw(false, false);
    this.tell();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    for (const { source } of this.entries) windowsOf(source).want(this.came, []);
    for (const undo of this.undo) undo();
    this.plot?.destroy();
    this.plot = null;
    this.visible = false;
  }

  /** Moves the cursor of all plots to a point of this one. */
  move(to: "first" | "last" | "next" | "previous"): void {
    const { cursor } = this.options;
    const { seen } = this.scene;
    const from = cursor.x;
    let x: number | null;
    if (to === "first" || (from === null && to === "next")) x = neighbour(this.lines, seen.min, true) ?? nearest(this.lines, seen.min);
    else if (to === "last" || from === null) x = nearest(this.lines, seen.max);
    else x = neighbour(this.lines, from, to === "next");
    if (x !== null && x >= seen.min && x <= seen.max) cursor.set(x);
  }

  /** The cursor goes away. */
  leave(): void {
    this.options.cursor.set(null);
  }

  /** Shows so much more (above 1) or less of the axis, about the cursor. */
  zoomBy(factor: number): void {
    const { lens, cursor } = this.options;
    const { x, seen } = this.scene;
    const [low, high] = [x.to(seen.min), x.to(seen.max)];
    const inside = cursor.x !== null && cursor.x >= seen.min && cursor.x <= seen.max;
    const about = inside ? x.to(cursor.x!) : (low + high) / 2;
    lens.set({ zoom: this.zoomed(about, factor) });
  }

  /** The data as drawn, in at most so many rows. */
  table(rows: number): { head: string[]; rows: string[][] } {
    return rowsOf(this.entries, this.scene.seen, this.options.lens.state.axis, rows);
  }

  toSVG(title: string): string {
    return svgOf(this.picture(title));
  }

  /** A data URL, made at once. */
  toPNG(scale: number, title = ""): string {
    return pngOf(this.picture(title), scale);
  }

  private get lines(): Line[] {
    return this.entries.map(({ line }) => line);
  }

  /** Draws on the next frame, if it is to be drawn at all. */
  private request(): void {
    if (this.frame || !this.visible) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.update();
    });
  }

  /** Has each curve take the best there is, and asks for what is better. */
  private resolve(plot: uPlot): void {
    const { state } = this.options.lens;
    // Of steps the page knows itself how far they go; along other axes the server tells.
    if (state.axis === "step") this.measure(this.entries.flatMap(({ line }) => line.store?.span ?? []));
    const view: View = { lens: state, seen: state.zoom ?? (state.axis === "step" ? this.full : null), px: plot.bbox.width };
    const wishes = new Map<Source, Wish[]>();
    const wanted = this.entries.map(({ line }) => line.wishes(view));
    this.entries.forEach(({ source }, k) => wishes.set(source, [...(wishes.get(source) ?? []), ...wanted[k]!]));
    for (const [source, each] of wishes) windowsOf(source).want(this.came, each);
    this.entries.forEach(({ source, line }, k) => line.resolve(view, wanted[k]!, windowsOf(source)));
    if (state.axis !== "step" && !state.zoom) this.measure(this.lines.flatMap(spanOf));
  }

  private measure(spans: Range[]): void {
    this.full = fullRange(spans, this.options.labelled ? this.expected() : null, isLogX(this.options.lens.state));
  }

  /** The part of the axis that a job is to go through as a whole. */
  private expected(): Range | null {
    const { axis } = this.options.lens.state;
    if (axis === "clock") return null;
    const ends = this.entries.map(({ source: { store } }) => (axis === "step" ? store.job.total_steps : axis === "epoch" ? store.job.total_epochs : 0) ?? 0);
    return { min: 0, max: Math.max(0, ...ends) };
  }

  private seen(): Range {
    return this.options.lens.state.zoom ?? this.full;
  }

  private zoomed(about: number, factor: number): Range | null {
    const { x } = this.scene;
    const places = ({ min, max }: Range): Range => ({ min: x.to(min), max: x.to(max) });
    const least = x === LINEAR ? LEAST[this.options.lens.state.axis] : 0.01;
    const range = zoomed(places(this.seen()), about, factor, places(this.full), least);
    return range && { min: x.from(range.min), max: x.from(range.max) };
  }

  /** Says what stands under the cursor, here or in another plot. */
  private tell(): void {
    const { plot, scene } = this;
    const { cursor, hover, lens } = this.options;
    if (!plot || !this.visible) return;
    const { x } = cursor;
    if (x === null || x < scene.seen.min || x > scene.seen.max || !this.lines.some(({ main }) => main?.main.end)) {
      this.dots.show([]);
      plot.setCursor({ left: -10, top: -10 }, false);
      hover(null, null);
      return;
    }
    const width = plot.over.clientWidth;
    const left = scaleOf(scene.x, scene.seen, 0, width)(x);
    const top = scaleOf(scene.y, scene.values, plot.over.clientHeight, 0);
    plot.setCursor({ left, top: 0 }, false);
    const span = (scene.x.to(scene.seen.max) - scene.x.to(scene.seen.min)) / width;
    const room = scene.x === LINEAR ? span * NEAR : x * (10 ** (span * NEAR) - 1);
    const readings = readingsAt(this.entries, x, lens.state.axis, notesAt(this.marks, x, room));
    this.dots.show(
      readings.flatMap(({ value, smoothed, color, n }) => {
        const at = top(smoothed ?? (typeof value === "number" ? value : NaN));
        return n > 0 && at >= -1 && at <= plot.over.clientHeight + 1 ? { left, top: at, color } : [];
      }),
    );
    hover(readings, { left, width });
  }

  private listen(plot: uPlot): () => void {
    const { lens, cursor } = this.options;
    const place = (left: number): number => {
      const { x, seen } = this.scene;
      return x.to(seen.min) + (left / plot.over.clientWidth) * (x.to(seen.max) - x.to(seen.min));
    };
    const value = (left: number): number => this.scene.x.from(place(left));
    return listenToPointer(plot.over, {
      point: (left) => cursor.set(left === null ? null : nearest(this.lines, value(left))),
      select: (from, to) => plot.setSelect({ left: Math.min(from, to), width: Math.abs(to - from), top: 0, height: plot.over.clientHeight }, false),
      choose: (from, to) => {
        const chosen = { min: value(from), max: value(to) };
        if (chosen.max - chosen.min >= LEAST[lens.state.axis] / 2) lens.set({ zoom: chosen });
      },
      pan: (by) => {
        if (!lens.state.zoom) return;
        const { x } = this.scene;
        const [seen, full] = [this.seen(), this.full].map(({ min, max }) => ({ min: x.to(min), max: x.to(max) })) as [Range, Range];
        const range = moved(seen, place(0) - place(by), full);
        lens.set({ zoom: { min: x.from(range.min), max: x.from(range.max) } });
      },
      zoom: (left, factor) => lens.set({ zoom: this.zoomed(place(left), factor) }),
      reset: () => lens.set({ zoom: null }),
    });
  }

  private styled(): { line: Line; color: string; points: boolean }[] {
    return this.entries.map(({ line, color, points }) => ({ line, color, points: points === true }));
  }

  private paintCurves(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const { color, labelled } = this.options;
    const { scene } = this;
    const ratio = devicePixelRatio;
    const x = scaleOf(scene.x, scene.seen, bbox.left, bbox.left + bbox.width);
    const y = scaleOf(scene.y, scene.values, bbox.top + bbox.height, bbox.top);
    const drawn = scene.drawn.map((curve) => ({ ...curve, color: color(curve.color) }));
    const room = 2 * ratio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left - room, bbox.top - room, bbox.width + 2 * room, bbox.height + 2 * room);
    ctx.clip();
    const inks = [...this.markInk(x, bbox, ratio, labelled), ...curveInk(drawn, x, y, bbox, ratio, color("--tl-bg")), ...badInk(drawn, x, bbox, ratio, color("--tl-amber"))];
    paint(ctx, inks, this.font);
    ctx.restore();
  }

  private markInk(x: Scale, box: uPlot.BBox, ratio: number, labelled: boolean): Ink[] {
    const { color } = this.options;
    return markInk(this.marks, x, box, ratio, labelled, { line: color("--tl-dim"), alert: color("--tl-amber"), background: color("--tl-bg") });
  }

  private get font(): string {
    return getComputedStyle(this.host).fontFamily || "sans-serif";
  }

  private picture(title: string): Picture {
    const { lens, color } = this.options;
    const width = Math.min(PICTURE.most, Math.max(PICTURE.least, this.plot?.width ?? 0));
    const scene = sceneOf(this.styled(), lens.state, this.seen(), width);
    for (const curve of scene.drawn) curve.color = color(curve.color);
    const legend = this.entries.map(({ label, color: property }) => ({ label, color: property }));
    const marks = (x: Scale, box: uPlot.BBox): Ink[] => this.markInk(x, box, 1, true);
    return { scene, lens: lens.state, title, legend, width, height: PICTURE.height, font: this.font, color, marks };
  }

  private settings(width: number): uPlot.Options {
    const { labelled, color, lens } = this.options;
    const line = (property: string) => (): string => color(property);
    let [across, up]: Ticks[] = [];
    const axis: uPlot.Axis = {
      stroke: line("--tl-dim"),
      font: `10px ${this.font}`,
      grid: { stroke: line("--tl-grid"), width: 1 },
      ticks: { show: false },
    };
    // An empty plot has a grid but nothing to count. For no text, null: the empty one is drawn, and has styles computed.
    const labels = (ticks: Ticks | undefined): (string | null)[] => (ticks?.labels ?? []).map((label) => (labelled && this.lines.some(({ main }) => main?.main.end) && label) || null);
    const ignore = (): null => null;
    return {
      width,
      height: this.height,
      // Whole pixels would turn a gentle slope into stairs.
      pxAlign: 0,
      padding: labelled ? [8, 22, 0, 0] : [6, 1, 2, 1],
      legend: { show: false },
      // uPlot counts in places, not in values: what is logarithmic is so before it comes here.
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        {
          ...axis,
          size: labelled ? 24 : 0,
          gap: 6,
          grid: { show: false },
          splits: (plot) => {
            across = axisTicks(lens.state.axis, this.scene.seen, plot.over.clientWidth / 80, isLogX(lens.state));
            return across.at.map(this.scene.x.to);
          },
          values: () => labels(across),
        },
        {
          ...axis,
          size: labelled ? 44 : 0,
          gap: 8,
          splits: (plot) => {
            up = valueTicks(this.scene.values, plot.over.clientHeight / (labelled ? 44 : 30), lens.state.logY);
            return up.at.map(this.scene.y.to);
          },
          values: () => labels(up),
        },
      ],
      // The curves are ours.
      series: [{}],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        // So is the pointer: all plots of a view follow it, and it goes from point to point.
        bind: { mousedown: ignore, mouseup: ignore, mousemove: ignore, mouseenter: ignore, mouseleave: ignore, click: ignore, dblclick: ignore },
      },
      hooks: { draw: [(plot) => this.paintCurves(plot)] },
    };
  }
}

function spanOf(line: Line): Range[] {
  const span = line.main?.span;
  return span ? [{ min: span.min - line.offset, max: span.max - line.offset }] : [];
}
