// One chart: a caption or legend with the newest values, the curves, and what stands under the pointer.

import { count, seriesTitle, seriesValue, stepsText } from "../data/format";
import { Series } from "../data/series";
import { Plot, type Cursor, type Reading } from "../chart/plot";
import type { Lens } from "../data/lens";
import type { Source } from "../data/source";
import { h, setAttribute, setShown, setText } from "./dom";
import { readoutRows } from "./readout";

export interface ChartOptions {
  /** Series in drawing order, with the custom property that holds each one's colour. */
  series: { name: string; color: string; marks?: boolean }[];
  /** The main chart has axes, a legend and a read-out; a small one a caption. */
  main: boolean;
  source: Source;
  lens: Lens;
  cursor: Cursor;
  color(property: string): string;
}

export interface ChartView {
  element: HTMLElement;
  /** Draws if anything changed; `empty` is said where there is no point yet. */
  update(empty: string): void;
  recolor(): void;
  /** How many points the first series' curve is made of. */
  readonly points: number;
}

interface Entry {
  name: string;
  value: HTMLElement;
  line: HTMLElement;
}

export function chartView(options: ChartOptions, signal: AbortSignal): ChartView {
  const { main } = options;
  const entries: Entry[] = options.series.map(({ name, color }) => {
    const value = h("b");
    const line = h("span", { class: "tl-key", style: `--tl-key: var(${color})` }, `${seriesTitle(name)} `, value);
    return { name, value, line };
  });
  const note = h("span", { class: "tl-dim tl-note" });
  const legend = h("figcaption", { class: main ? "tl-legend" : "tl-caption" }, ...entries.map((entry) => entry.line), ...(main ? [note] : []));
  const quiet = h("span", { class: "tl-empty" });
  const readout = h("div", { class: "tl-readout", "aria-hidden": "true" });
  const canvas = h("div", { class: "tl-canvas", role: "img", tabindex: main ? 0 : null }, quiet, readout);
  const element = h("figure", { class: main ? "tl-chart tl-main-chart" : "tl-chart" }, legend, canvas);
  setShown(readout, false);

  // Stand in for what has not come.
  const blanks = options.series.map(({ name }) => new Series(name));
  let shown: readonly Series[] = blanks;
  let points = 0;

  const plot = new Plot(canvas, {
    lens: options.lens,
    cursor: options.cursor,
    height: main ? 226 : 84,
    labelled: main,
    color: options.color,
    hover(readings, at) {
      if (main) showReadout(readings, at);
      sayValues(main ? null : readings);
    },
  });
  plot.setCurves(options.series.map(({ name, color, marks }) => ({ source: options.source, name, label: seriesTitle(name), color, points: marks })));

  /** What each series comes to where it is read, or its newest value. */
  const sayValues = (readings: readonly Reading[] | null): void => {
    entries.forEach((entry, k) => {
      const series = shown[k]!;
      const reading = readings?.[k];
      setText(entry.value, seriesValue(entry.name, reading ? reading.value : series.last));
      if (main) setShown(entry.line, k === 0 || series.span !== null);
    });
  };

  const showReadout = (readings: readonly Reading[] | null, at: { left: number; width: number } | null): void => {
    setShown(readout, readings !== null);
    if (!readings || !at) return;
    readout.replaceChildren(...readoutRows(readings, (k) => entries[k]!.name, options.lens.state.logY));
    const rightHalf = at.left > at.width / 2;
    const edge = canvas.clientWidth - at.width;
    readout.style.left = rightHalf ? "auto" : `${edge + at.left}px`;
    readout.style.right = rightHalf ? `${at.width - at.left + 20}px` : "auto";
  };

  const MOVES: Record<string, "first" | "last" | "next" | "previous"> = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last" };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") plot.leave();
    else if (event.key in MOVES) plot.move(MOVES[event.key]!);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("blur", () => plot.leave());

  const resize = new ResizeObserver(() => requestAnimationFrame(() => !signal.aborted && plot.fit()));
  resize.observe(canvas);
  signal.addEventListener("abort", () => {
    resize.disconnect();
    plot.destroy();
  });

  return {
    element,
    get points() {
      return points;
    },
    recolor: () => plot.recolor(),
    update(empty) {
      shown = blanks.map((blank) => options.source.store.series.get(blank.name) ?? blank);
      setText(quiet, shown.some(({ span }) => span !== null) ? "" : empty);
      const { n, nan, inf } = shown[0]!.main.extent;
      points = n;
      if (options.cursor.x === null || main) sayValues(null);
      if (main) setText(note, pointsText(n, nan + inf));
      setAttribute(canvas, "aria-label", label(shown));
      plot.update();
    },
  };
}

function pointsText(points: number, bad: number): string {
  if (points === 0) return "";
  return `${count(points)} ${points === 1 ? "point" : "points"}${bad ? `, ${count(bad)} not finite` : ""}`;
}

function label(shown: readonly Series[]): string {
  const said = shown.flatMap((series) => {
    const { end } = series.main;
    return end ? [`${seriesTitle(series.name)} ${seriesValue(series.name, series.last)} at ${stepsText(end.x0, series.width)}`] : [];
  });
  return said.length ? `Chart over steps: ${said.join("; ")}` : "Chart, no points yet";
}
