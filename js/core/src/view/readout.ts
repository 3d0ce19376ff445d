// What stands under the pointer: where it is, and what each curve came to there.

import type { Reading } from "../chart/plot";
import { clockSeconds, count, metric, seriesValue } from "../data/format";
import { shortened } from "../data/visible";
import { __ } from "../i18n";
import { h } from "./dom";

/** More curves than these would cover the chart. */
const MOST = 12;
/** Of what happened here so much is told; alerts have a page of their own. */
const LONGEST = 60;

/**
 * The rows for what stands under the pointer; `nameOf` tells of which series the values of each reading are, and `timed` that
 * all are of one job, so of one time. On a logarithmic scale what is not above zero is not drawn, and the read-out says so.
 */
export function readoutRows(readings: readonly Reading[], nameOf: (k: number) => string, logY: boolean, timed: boolean): HTMLElement[] {
  const first = readings.find(({ n }) => n > 0) ?? readings[0];
  if (!first) return [];
  const time = timed && first.time ? clockSeconds(first.time) : "";
  const rows: HTMLElement[] = [h("div", { class: "tl-dim" }, [first.text_x, first.text_x === time ? "" : time].filter(Boolean).join(" · "))];
  readings.slice(0, MOST).forEach((reading, k) => {
    if (reading.n === 0) return;
    const say = (value: Reading["value"]): string => seriesValue(nameOf(k), value);
    const { value, smoothed, min, max, n, nan, inf, earlier, color } = reading;
    const main = h("b", {}, say(smoothed ?? value));
    rows.push(h("div", { class: "tl-readout-row", style: `--tl-key: var(${color})` }, h("span", { class: "tl-dim tl-key" }, reading.label), main));
    if (smoothed !== null && smoothed !== value) rows.push(detail(__("as logged"), say(value)));
    if (min !== null && max !== null && min < max) rows.push(detail("", `${say(min)} … ${say(max)}`));
    if (n > 1 && nan + inf > 0) rows.push(detail("", badText(nan, inf)));
    if (logY && typeof value === "number" && value <= 0) rows.push(detail("", __("not on a log scale")));
    if (earlier !== undefined) rows.push(detail(__("earlier"), say(earlier)));
  });
  for (const note of readings[0]?.notes ?? []) rows.push(h("div", { class: "tl-note-here" }, shortened(note, LONGEST)));
  if (readings.length > MOST) rows.push(detail("", __("and %1 more", readings.length - MOST)));
  return rows;
}

/** The same in a sentence, for who hears it. */
export function spokenReading(readings: readonly Reading[], nameOf: (k: number) => string): string {
  const said = readings.flatMap((reading, k) => (reading.n === 0 ? [] : [`${reading.label} ${seriesValue(nameOf(k), reading.smoothed ?? reading.value)}`]));
  return [readings.find(({ n }) => n > 0)?.text_x, ...said, ...(readings[0]?.notes ?? []).map((note) => shortened(note, LONGEST))].filter(Boolean).join(", ");
}

/** 3 NaN, 1 ∞ */
function badText(nan: number, inf: number): string {
  return [nan > 0 ? `${count(nan)} ${metric("nan")}` : "", inf > 0 ? `${count(inf)} ${metric("inf")}` : ""].filter(Boolean).join(", ");
}

function detail(title: string, value: string): HTMLElement {
  return h("div", { class: "tl-readout-row" }, h("span", { class: "tl-dim" }, title), h("span", { class: "tl-dim" }, value));
}
