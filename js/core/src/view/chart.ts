// One chart: a caption or legend with the newest values, the curves, and what stands under the pointer.

import { lastOf } from "../data/bucket";
import { count, seriesTitle, seriesValue, stepsText, tick } from "../data/format";
import { Series } from "../data/series";
import { Plot } from "../chart/plot";
import type { Range } from "../chart/shapes";
import { h, setAttribute, setShown, setText } from "./dom";
import { bucketAt, readoutRows } from "./readout";

export interface ChartOptions {
  /** Series in drawing order, with the custom property that holds each one's colour. */
  series: { name: string; color: string; marks?: boolean }[];
  /** The main chart has axes, a legend and a read-out; a small one a caption. */
  main: boolean;
  cursorKey: string;
  color(property: string): string;
}

export interface ChartView {
  element: HTMLElement;
  /** Draws if anything changed, and these steps at least; `empty` is said where there is no point yet. */
  update(all: ReadonlyMap<string, Series>, steps: Range | null, empty: string): void;
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
  let drawn = "";
  let pointed = -1;

  const plot = new Plot(canvas, {
    curves: options.series.map(({ name, color, marks }) => ({ label: name, color, marks })),
    height: main ? 226 : 84,
    labelled: main,
    cursorKey: options.cursorKey,
    color: options.color,
    tick,
    hover(at) {
      pointed = at?.index ?? -1;
      if (main) showReadout(at);
      else sayValues(plot.table.x[pointed]);
    },
  });

  /** The value of each series at an x of the table, or its newest. */
  const sayValues = (x?: number): void => {
    entries.forEach((entry, k) => {
      const series = shown[k]!;
      setText(entry.value, seriesValue(entry.name, x === undefined ? series.last : lastOf(bucketAt(series, x))));
      if (main) setShown(entry.line, k === 0 || series.span !== null);
    });
  };

  const showReadout = (at: { left: number; width: number } | null): void => {
    const inside = at !== null && pointed < plot.table.x.length;
    setShown(readout, inside);
    if (!inside) return;
    readout.replaceChildren(...readoutRows(shown, plot.table, pointed));
    const rightHalf = at.left > at.width / 2;
    const edge = canvas.clientWidth - at.width;
    readout.style.left = rightHalf ? "auto" : `${edge + at.left}px`;
    readout.style.right = rightHalf ? `${at.width - at.left + 20}px` : "auto";
  };

  canvas.addEventListener("keydown", (event) => {
    const last = plot.table.x.length - 1;
    const moves: Record<string, number> = {
      ArrowLeft: pointed < 0 ? last : Math.max(0, pointed - 1),
      ArrowRight: pointed < 0 ? 0 : Math.min(last, pointed + 1),
      Home: 0,
      End: last,
    };
    if (event.key === "Escape") plot.unpoint();
    else if (event.key in moves && last >= 0) plot.point(moves[event.key]!);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("blur", () => plot.unpoint());

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
    update(all, steps, empty) {
      const series = blanks.map((blank) => all.get(blank.name) ?? blank);
      const spans = series.flatMap(({ span }) => span ?? []);
      setText(quiet, spans.length > 0 ? "" : empty);
      const key = `${series.map(({ version }) => version).join()} ${steps?.min} ${steps?.max}`;
      if (key === drawn) return;
      drawn = key;
      shown = series;
      const { n, nan, inf } = shown[0]!.main.extent;
      points = n;
      if (pointed < 0 || main) sayValues();
      if (main) setText(note, pointsText(n, nan + inf));
      setAttribute(canvas, "aria-label", label(shown));
      if (steps) spans.push(steps);
      plot.show(shown, { min: Math.min(...spans.map(({ min }) => min)), max: Math.max(...spans.map(({ max }) => max)) });
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
