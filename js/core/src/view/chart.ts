// One chart: a caption or legend with the newest values, the curves, and what stands under the pointer.

import { clockSeconds, count, seriesTitle, seriesValue, tick } from "../data/format";
import { Series, joined, type Table } from "../data/series";
import { Plot, type Range } from "../chart/plot";
import { h, setAttribute, setShown, setText } from "./dom";

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
  /** Draws if anything changed; `empty` is said where there is no point yet. */
  update(all: ReadonlyMap<string, Series>, steps: Range | null, empty: string): void;
  recolor(): void;
  /** How many points of the first series are drawn. */
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

  let shown: Series[] = [];
  let table: Table = { x: [], ys: [] };
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
      const step = table.x[pointed];
      if (main) showReadout(step, at);
      else sayValues(step);
    },
  });

  /** The value of each series at a step, or its newest. */
  const sayValues = (step?: number): void => {
    entries.forEach((entry, k) => {
      const series = shown[k];
      const at = step === undefined ? undefined : series?.values[series.indexAt(step)];
      setText(entry.value, seriesValue(entry.name, step === undefined ? series?.last : at));
      if (main) setShown(entry.line, k === 0 || (series?.steps.length ?? 0) > 0);
    });
  };

  const showReadout = (step: number | undefined, at: { left: number; width: number } | null): void => {
    setShown(readout, step !== undefined);
    if (step === undefined || !at) return;
    const first = shown[0];
    const time = first?.times[first.indexAt(step)];
    const rows = [h("div", { class: "tl-dim" }, `step ${count(step)}${time ? ` · ${clockSeconds(time)}` : ""}`)];
    shown.forEach((series) => {
      // An eval loss holds until the next evaluation, so the last one before the pointer is the one in force.
      const index = series.indexAt(step);
      if (index < 0) return;
      const value = seriesValue(series.name, series.values[index] ?? "nan");
      rows.push(h("div", { class: "tl-readout-row" }, h("span", { class: "tl-dim" }, seriesTitle(series.name)), h("b", {}, value)));
    });
    readout.replaceChildren(...rows);
    const rightHalf = at.left > at.width / 2;
    const edge = canvas.clientWidth - at.width;
    readout.style.left = rightHalf ? "auto" : `${edge + at.left}px`;
    readout.style.right = rightHalf ? `${at.width - at.left + 20}px` : "auto";
  };

  canvas.addEventListener("keydown", (event) => {
    const last = table.x.length - 1;
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
      return shown[0]?.steps.length ?? 0;
    },
    recolor: () => plot.recolor(),
    update(all, steps, empty) {
      const mine = options.series.map(({ name }) => all.get(name));
      setText(quiet, mine.some((series) => series?.steps.length) ? "" : empty);
      const key = `${mine.map((series) => series?.version ?? 0).join()} ${steps?.min} ${steps?.max}`;
      if (key === drawn) return;
      drawn = key;
      shown = options.series.map(({ name }, k) => mine[k] ?? new Series(name));
      table = joined(shown);
      if (pointed < 0 || main) sayValues();
      if (main) setText(note, pointsText(shown));
      setAttribute(canvas, "aria-label", label(shown));
      plot.show(table, steps ?? { min: table.x[0] ?? 0, max: table.x[table.x.length - 1] ?? 1 });
    },
  };
}

function pointsText(shown: readonly Series[]): string {
  const points = shown[0]?.steps.length ?? 0;
  const bad = shown[0]?.values.filter((value) => value === null).length ?? 0;
  if (points === 0) return "";
  return `${count(points)} ${points === 1 ? "point" : "points"}${bad ? `, ${count(bad)} not finite` : ""}`;
}

function label(shown: readonly Series[]): string {
  const said = shown
    .filter((series) => series.steps.length > 0)
    .map((series) => `${seriesTitle(series.name)} ${seriesValue(series.name, series.last)} at step ${count(series.steps[series.steps.length - 1])}`);
  return said.length ? `Chart over steps: ${said.join("; ")}` : "Chart, no points yet";
}
