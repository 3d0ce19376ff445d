// The data of a chart as a table, for who reads it rather than sees it.

import { count } from "../data/format";
import { __ } from "../i18n";
import { h } from "./dom";

/** More rows than these nobody reads; the file has all of them. */
export const MOST_ROWS = 200;

export function dataTable(title: string, { head, rows }: { head: string[]; rows: string[][] }): HTMLElement {
  const top = h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)));
  const lines = rows.map(([first = "", ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((text) => h("td", {}, text))));
  const caption = h("caption", { class: "tl-dim" }, rows.length === 0 ? __("no points yet") : __("%1 rows, as drawn", count(rows.length)));
  const table = h("table", { class: "tl-table" }, caption, h("thead", {}, top), h("tbody", {}, ...lines));
  return h("div", { class: "tl-data", role: "region", tabindex: 0, "aria-label": __("Data of %1", title) }, table);
}
