// One chart: a caption or legend with the newest values, the curves, and what stands under the pointer.

import { Plot, type Cursor, type PlotCurve, type Reading } from "../chart/plot";
import { count, seriesTitle, seriesValue } from "../data/format";
import type { Lens } from "../data/lens";
import type { Series } from "../data/series";
import { trendOf, type Trend } from "../data/trend";
import { shortened } from "../data/visible";
import { __, _n } from "../i18n";
import { h, setAttribute, setShown, setText } from "./dom";
import { readoutRows, spokenReading } from "./readout";
import { dataTable, MOST_ROWS } from "./table";

/** What a chart shows. */
export interface ChartSpec {
  /** Known by this, from one time to the next. */
  key: string;
  title: string;
  curves: readonly PlotCurve[];
  /** A main chart is large, and has axes and a read-out. */
  main: boolean;
  /** Whether its curves are told apart by a legend of its own. */
  legend: boolean;
}

export interface ChartOptions {
  lens: Lens;
  cursor: Cursor;
  color(property: string): string;
  /** The height of one that is not a main chart, in CSS pixels. */
  height: number;
  /** Has the menu open at this button. */
  attach(button: HTMLButtonElement, chart: ChartView): void;
  /** Enlarges it, or puts it back. */
  enlarge(chart: ChartView): void;
  signal: AbortSignal;
}

export interface ChartView {
  readonly element: HTMLElement;
  readonly spec: ChartSpec;
  /** Null until it was on screen for the first time. */
  readonly plot: Plot | null;
  readonly enlarged: boolean;
  /** Whether its data stand below it. */
  readonly tabled: boolean;
  show(spec: ChartSpec): void;
  /** Draws if anything changed and it is on screen; `empty` is said where there is no point yet. */
  update(empty: string): void;
  setVisible(visible: boolean): void;
  setEnlarged(enlarged: boolean): void;
  setTabled(tabled: boolean): void;
  /** As SVG, or as a PNG's data URL that says what it is a chart of, whether it is on screen or not; null before its first point, and where it has no room. */
  drawing(): string | null;
  picture(of: string): string | null;
  focus(): void;
  recolor(): void;
  remove(): void;
}

interface Key {
  element: HTMLElement;
  title: HTMLElement;
  value: HTMLElement;
}

/** How many pixels of a picture are one of the page's. */
export const PICTURE_SCALE = 2;
/** A picture has one line for its title. */
const MOST_TITLE = 60;
const LEAST_MAIN = 226;
const MOST_MAIN = 400;
/** A label that changed with every number would never let a screen reader finish. */
const SAY_MS = 2_000;

export function chartView(first: ChartSpec, options: ChartOptions): ChartView {
  const { lens, color } = options;
  let spec = first;
  let plot: Plot | null = null;
  let visible = false;
  let enlarged = false;
  let table: HTMLElement | null = null;
  let keys: Key[] = [];
  let readings: Reading[] | null = null;
  let said_at = -Infinity;

  const reset = h("button", { type: "button", class: "tl-link" }, __("Reset zoom"));
  const note = h("span", { class: "tl-dim tl-note" });
  const legend = h("figcaption");
  const quiet = h("span", { class: "tl-empty" });
  const readout = h("div", { class: "tl-readout", "aria-hidden": "true" });
  // A slider is what it is to a keyboard: the arrow keys move through the points, and what stands there is spoken.
  const canvas = h("div", { class: "tl-canvas", role: "slider", tabindex: 0, "aria-valuenow": 0, "aria-valuemin": 0, "aria-valuemax": 1 }, quiet);
  const button = h("button", { type: "button", class: "tl-chart-menu", title: __("Enlarge, pin, hide, save…") }, "⋯");
  const element = h("figure", {}, legend, h("div", { class: "tl-plot" }, canvas, readout, button));
  setShown(readout, false);
  reset.addEventListener("click", () => {
    lens.set({ zoom: null });
    canvas.focus();
  });

  const large = (): boolean => spec.main || enlarged;
  const seriesOf = ({ source, name }: PlotCurve): Series | undefined => source.store.series.get(name);
  const hasPoints = (): boolean => spec.curves.some((curve) => seriesOf(curve)?.main.end);
  /** The title of a picture, which does not speak of a curve that never began. */
  const begunTitle = (): string => {
    const begun = spec.curves.filter(seriesOf);
    return spec.legend && begun.length < spec.curves.length ? begun.map(({ label }) => label).join(__(" and ")) : spec.title;
  };
  const nameOf = (k: number): string => spec.curves[k]?.name ?? "";
  let width = 0;
  /** As wide as it was when last laid out: in between, as while the theme changes, it may be hidden for a moment. */
  const across = (): number => width || canvas.clientWidth;
  const height = (): number => {
    if (enlarged) return Math.max(LEAST_MAIN, Math.round(innerHeight * 0.6));
    return spec.main ? Math.min(MOST_MAIN, Math.max(LEAST_MAIN, Math.round(across() * 0.3))) : options.height;
  };

  /** Takes the room there is. */
  const fit = (): void => {
    // Hidden, it has none, and keeps its own.
    if (canvas.clientWidth === 0) return;
    const now = height();
    canvas.style.height = `${now}px`;
    plot?.setHeight(now);
    plot?.fit(across());
  };

  const make = (): void => {
    plot?.destroy();
    plot = new Plot(canvas, { lens, cursor: options.cursor, height: height(), labelled: large(), color, hover });
    plot.setCurves(spec.curves);
    plot.setVisible(visible);
    fit();
  };

  function hover(now: Reading[] | null, at: { left: number; width: number } | null): void {
    readings = now;
    setAttribute(canvas, "aria-valuetext", now ? spokenReading(now, nameOf) : null);
    sayValues();
    // Of small charts with several curves only the one that is pointed at tells them: all of them at once would be a crowd.
    const told = now && at && (large() || (spec.curves.length > 1 && element.matches(":hover, :focus-within")));
    setShown(readout, Boolean(told));
    if (!told) return;
    readout.replaceChildren(...readoutRows(now, nameOf, lens.state.logY, spec.curves.every(({ source }) => source === spec.curves[0]?.source)));
    const edge = canvas.querySelector<HTMLElement>(".u-over")?.offsetLeft ?? 0;
    const right_half = at.left > at.width / 2;
    readout.style.left = right_half ? "auto" : `${edge + at.left + 12}px`;
    readout.style.right = right_half ? `${across() - edge - at.left + 12}px` : "auto";
  }

  /** The value of each curve: under the pointer in a small chart, else the newest. */
  const sayValues = (): void => {
    keys.forEach(({ element: key, value }, k) => {
      const curve = spec.curves[k]!;
      const reading = large() ? undefined : readings?.[k];
      const series = seriesOf(curve);
      setText(value, seriesValue(curve.name, reading ? (reading.smoothed ?? reading.value) : series?.last));
      if (spec.legend) setShown(key, k === 0 || Boolean(series?.main.buckets.length));
    });
  };

  const buildLegend = (): void => {
    legend.className = spec.main ? "tl-legend" : "tl-caption";
    const named = spec.legend ? spec.curves : spec.curves.length === 1 ? [spec.curves[0]!] : [];
    keys = named.map((curve) => {
      const [title, value] = [h("span", {}, spec.legend ? curve.label : spec.title), h("b")];
      return { title, value, element: h("span", { class: "tl-key", style: `--tl-key: var(${curve.color})` }, title, " ", value) };
    });
    const line = keys.length > 0 ? keys.map((key) => key.element) : [h("span", { class: "tl-title" }, spec.title)];
    for (const title of line) setAttribute(title, "title", spec.legend ? null : spec.title);
    legend.replaceChildren(...line, note, reset);
    setAttribute(button, "aria-label", __("Options of %1", spec.title));
  };

  const sayNote = (): void => {
    const zoomed = large() && lens.state.zoom !== null;
    setShown(reset, zoomed);
    setShown(note, large() && !zoomed);
    const extents = spec.curves.slice(0, spec.legend ? 1 : undefined).flatMap((curve) => seriesOf(curve)?.main.extent ?? []);
    const [points, bad] = [sum(extents.map(({ n }) => n)), sum(extents.map(({ nan, inf }) => nan + inf))];
    setText(note, points === 0 ? "" : `${_n("%2 point", "%2 points", points, count(points))}${bad ? `, ${__("%1 not finite", count(bad))}` : ""}`);
  };

  const sayLabel = (): void => {
    const said = spec.curves.flatMap((curve) => {
      const series = seriesOf(curve);
      if (!series?.main.end) return [];
      const trend = trendOf(series.main.buckets);
      return [`${curve.label} ${seriesValue(curve.name, series.last)}${trend ? `, ${trendText(trend)}` : ""}`];
    });
    setAttribute(canvas, "aria-label", said.length > 0 ? __("Chart of %1: %2", spec.title, said.join("; ")) : __("Chart of %1, no points yet", spec.title));
  };

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !plot) return;
    const { key } = event;
    if (key in MOVES) plot.move(MOVES[key]!);
    else if (key === "+" || key === "=") plot.zoomBy(0.5);
    else if (key === "-" || key === "_") plot.zoomBy(2);
    else if (key === "0") lens.set({ zoom: null });
    else if (key === "Enter") options.enlarge(view);
    else if (key === "Escape" && readings) plot.leave();
    else return;
    event.preventDefault();
    // An enlarged chart goes back on the same Escape.
    if (key !== "Escape") event.stopPropagation();
  });
  canvas.addEventListener("blur", () => plot?.leave());

  const resize = new ResizeObserver(() => {
    if (canvas.clientWidth === width) return;
    width = canvas.clientWidth;
    requestAnimationFrame(() => !options.signal.aborted && fit());
  });
  resize.observe(canvas);
  const remove = (): void => {
    resize.disconnect();
    plot?.destroy();
    plot = null;
    element.remove();
  };
  options.signal.addEventListener("abort", remove, { once: true });

  /** What `take` makes of the plot, brought up to date. */
  const taken = (take: (plot: Plot) => string): string | null => {
    if (!hasPoints()) return null;
    const before = visible;
    view.setVisible(true);
    plot!.update();
    const picture = canvas.querySelector("canvas") ? take(plot!) : null;
    view.setVisible(before);
    return picture;
  };

  const view: ChartView = {
    element,
    get spec() {
      return spec;
    },
    get plot() {
      return plot;
    },
    get enlarged() {
      return enlarged;
    },
    get tabled() {
      return table !== null;
    },
    show(next) {
      spec = next;
      element.className = `tl-chart${spec.main ? " tl-main-chart" : ""}${enlarged ? " tl-enlarged" : ""}`;
      buildLegend();
      plot?.setCurves(spec.curves);
      // Off screen as well, where nothing is updated: it has a name for who goes from one to the next.
      sayLabel();
      said_at = -Infinity;
    },
    update(empty) {
      if (!visible) return;
      setText(quiet, hasPoints() ? "" : empty);
      sayValues();
      sayNote();
      const now = performance.now();
      if (now - said_at > SAY_MS) {
        said_at = now;
        sayLabel();
      }
      plot?.update();
    },
    setVisible(now) {
      visible = now;
      if (now && !plot) make();
      plot?.setVisible(now);
    },
    setEnlarged(now) {
      if (enlarged === now) return;
      enlarged = now;
      if (!now) view.setTabled(false);
      view.show(spec);
      if (plot) make();
    },
    setTabled(now) {
      table?.remove();
      table = now && plot ? dataTable(spec.title, plot.table(MOST_ROWS)) : null;
      if (table) element.append(table);
    },
    drawing: () => taken((now) => now.toSVG(begunTitle())),
    picture: (of) => taken((now) => now.toPNG(PICTURE_SCALE, `${shortened(of, MOST_TITLE)} · ${begunTitle()}`)),
    focus: () => canvas.focus(),
    recolor: () => plot?.recolor(),
    remove,
  };
  options.attach(button, view);
  view.show(first);
  canvas.style.height = `${height()}px`;
  return view;
}

const MOVES: Record<string, "first" | "last" | "next" | "previous"> = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last" };

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

function trendText(trend: Trend): string {
  return { rising: __("rising"), falling: __("falling"), level: __("level") }[trend];
}

/** A chart of one series by its own name. */
export function ofSeries(curve: PlotCurve): ChartSpec {
  return { key: curve.name, title: seriesTitle(curve.name), curves: [curve], main: false, legend: false };
}
