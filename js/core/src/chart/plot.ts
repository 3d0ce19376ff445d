// One plot of curves, possibly of several jobs: uPlot's canvas, axes and pointer, behind an interface of our own.

import type uPlot from "uplot";
import type { Lens, Range } from "../data/lens";
import { Line, type View } from "../data/line";
import { marksOf, type PlacedMark } from "../data/marks";
import type { Source } from "../data/source";
import { windowsOf, type Wish } from "../data/windows";
import { canvasIn, fontOf } from "./canvas";
import { Cursor } from "./cursor";
import { Overlay } from "./overlay";
import { pngOf, svgOf, type Picture } from "./picture";
import { notesAt, readingsAt, rowsOf, type Reading } from "./readings";
import { LINEAR, scaleOf } from "./scales";
import { fullRange, isLogX, sceneOf, type Scene } from "./scene";
import { Steering, type Move } from "./steering";

export { Cursor, type Reading };

export interface PlotCurve {
  source: Source;
  name: string;
  label: string;
  /** The name of a CSS custom property, looked up at every drawing, so that a theme switch needs no new plot. */
  color: string;
  /** Marks each point while they stand apart, and smooths none: for series that are sparse by nature. */
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
  private readonly overlay = new Overlay();
  private readonly steering: Steering;
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
    this.steering = new Steering(lens, cursor, () => ({ scene: this.scene, full: this.full, lines: this.lines }));
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
    if (visible) {
      this.request();
      // The cursor may have moved meanwhile.
      this.tell();
    } else for (const { source } of this.entries) windowsOf(source).want(this.came, []);
  }

  setHeight(px: number): void {
    if (px === this.height) return;
    this.height = px;
    this.plot?.setSize({ width: this.plot.width, height: px });
    this.drawn = "";
    this.request();
  }

  /** Takes a width, by itself the host's; makes the canvas the first time there is one. */
  fit(width = Math.floor(this.host.clientWidth)): void {
    if (width === 0) return;
    if (!this.plot) {
      const { over } = (this.plot = this.canvas(width));
      over.append(this.overlay.element);
      this.undo.push(this.steering.listen(over, (from, to) => this.overlay.choose(from, to)));
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
  move(to: Move): void {
    this.steering.move(to);
  }

  /** The cursor goes away. */
  leave(): void {
    this.options.cursor.set(null);
  }

  /** Shows so much more (above 1) or less of the axis, about the cursor. */
  zoomBy(factor: number): void {
    this.steering.zoomBy(factor);
  }

  /** The data as drawn, in at most so many rows: as people read numbers, or `plain`, for a file. */
  table(rows: number, plain = false): { head: string[]; rows: string[][] } {
    return rowsOf(this.entries, this.scene.seen, this.options.lens.state.axis, rows, plain);
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

  /** Whether there is a point anywhere. */
  private get known(): boolean {
    return this.lines.some(({ main }) => main?.main.end);
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
    // Of few points each is meant: an average would lag far behind them.
    const sparse: View = { ...view, lens: { ...state, smoothing: 0 } };
    const viewOf = ({ points }: Entry): View => (points ? sparse : view);
    const wishes = new Map<Source, Wish[]>();
    const wanted = this.entries.map((entry) => entry.line.wishes(viewOf(entry)));
    this.entries.forEach(({ source }, k) => wishes.set(source, [...(wishes.get(source) ?? []), ...wanted[k]!]));
    for (const [source, each] of wishes) windowsOf(source).want(this.came, each);
    this.entries.forEach((entry, k) => entry.line.resolve(viewOf(entry), wanted[k]!, windowsOf(entry.source)));
    if (state.axis !== "step" && !state.zoom) this.measure(this.lines.flatMap(spanOf));
  }

  private measure(spans: Range[]): void {
    this.full = fullRange(spans, this.expected(), isLogX(this.options.lens.state));
  }

  /** The part of the axis that a job is to go through as a whole; in a small plot, as far as it has come, so that all of them are alike. */
  private expected(): Range | null {
    const { lens, labelled } = this.options;
    const { axis } = lens.state;
    if (axis === "clock") return null;
    const now = axis === "step" ? "current_step" : "current_epoch";
    const whole = axis === "step" ? "total_steps" : "total_epochs";
    const ends = axis === "elapsed" ? [] : this.entries.map(({ source: { store } }) => store.job[labelled ? whole : now] ?? 0);
    // A logarithmic axis has no zero.
    return { min: axis === "step" && lens.state.logX ? 1 : 0, max: Math.max(0, ...ends) };
  }

  private seen(): Range {
    return this.options.lens.state.zoom ?? this.full;
  }

  /** Says what stands under the cursor, here or in another plot. */
  private tell(): void {
    const { plot, scene } = this;
    const { cursor, hover, lens } = this.options;
    if (!plot || !this.visible) return;
    const { x } = cursor;
    if (x === null || x < scene.seen.min || x > scene.seen.max || !this.known) {
      this.overlay.show(null, []);
      hover(null, null);
      return;
    }
    // As uPlot has laid it out: to ask the page would have it laid out anew, in each of many plots.
    const [width, height] = [plot.bbox.width / devicePixelRatio, plot.bbox.height / devicePixelRatio];
    const across = scaleOf(scene.x, scene.seen, 0, width);
    const left = across(x);
    const top = scaleOf(scene.y, scene.values, height, 0);
    const span = (scene.x.to(scene.seen.max) - scene.x.to(scene.seen.min)) / width;
    const room = scene.x === LINEAR ? span * NEAR : x * (10 ** (span * NEAR) - 1);
    const readings = readingsAt(this.entries, x, lens.state.axis, notesAt(this.marks, x, room));
    this.overlay.show(
      left,
      readings.flatMap(({ x: place, value, smoothed, color, n }) => {
        // On the curve: an evaluation that still holds stands where it was.
        const dot = { left: across(place), top: top(smoothed ?? (typeof value === "number" ? value : NaN)), color };
        return n > 0 && dot.left >= -1 && dot.top >= -1 && dot.top <= height + 1 ? dot : [];
      }),
    );
    hover(readings, { left, width });
  }

  private styled(): { line: Line; color: string; points: boolean }[] {
    return this.entries.map(({ line, color, points }) => ({ line, color, points: points === true }));
  }

  private picture(title: string): Picture {
    const { lens, color } = this.options;
    const width = Math.min(PICTURE.most, Math.max(PICTURE.least, this.plot?.width ?? 0));
    const scene = sceneOf(this.styled(), lens.state, this.seen(), width);
    const legend = this.entries.filter(({ source, name }) => source.store.series.has(name));
    return { scene, lens: lens.state, title, legend, width, height: PICTURE.height, font: fontOf(this.host), color, marks: this.marks };
  }

  private canvas(width: number): uPlot {
    const { lens, labelled, color } = this.options;
    return canvasIn(this.host, width, {
      lens,
      height: this.height,
      labelled,
      color,
      scene: () => this.scene,
      marks: () => this.marks,
      known: () => this.known,
    });
  }
}

function spanOf({ pieces, main, offset }: Line): Range[] {
  const [first, last] = [pieces[0]?.series.span, main?.span];
  return first && last ? [{ min: first.min - offset, max: last.max - offset }] : [];
}
