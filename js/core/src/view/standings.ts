// What sets compared jobs apart, as one table: the parameters that differ, and what each metric came to.

import { seriesTitle, seriesValue } from "../data/format";
import { __ } from "../i18n";
import type { Contestant } from "./contestants";
import { differences } from "./differences";
import { h } from "./dom";
import { GROUPS, groupOf, isMinor } from "./groups";

/** What has not changed since the last look is not built again; numbers change often, and a reader wants a calm table. */
const BUILD_MS = 1_000;

export function standings(): { element: HTMLElement; update(all: readonly Contestant[]): void } {
  const table = h("table", { class: "tl-table" });
  const scroll = h("div", { class: "tl-data", role: "region", tabindex: 0, "aria-label": __("Parameters that differ, and last values") }, table);
  const element = h("details", { class: "tl-standings", open: true }, h("summary", {}, __("Parameters and last values")), scroll);
  let shown = "";
  let built_at = -Infinity;
  let later: ReturnType<typeof setTimeout> | undefined;

  const build = (all: readonly Contestant[], who: string): void => {
    built_at = performance.now();
    const parameters = differences(all.map(({ store }) => store.job.spec ?? null));
    const values = lastValues(all);
    const key = `${who}\n${JSON.stringify([all.map(({ label }) => label), parameters, values])}`;
    if (key === shown) return;
    shown = key;
    const columns = all.map(({ label, color }) =>
      h("th", { scope: "col", style: `--tl-key: var(${color})` }, h("i", { class: "tl-swatch", "aria-hidden": "true" }), h("span", { class: "tl-cut", title: label }, label)),
    );
    const part = (title: string, lines: HTMLElement[], none: string): HTMLElement =>
      h("tbody", {}, h("tr", {}, h("th", { scope: "rowgroup", colspan: all.length + 1, class: "tl-part" }, title)), ...(lines.length > 0 ? lines : [line(none, [])]));
    table.replaceChildren(
      h("thead", {}, h("tr", {}, h("td"), ...columns)),
      part(__("Parameters that differ"), parameters.map((each) => line(each.name, each.values)), __("none")),
      part(__("Last values"), values.map((each) => line(seriesTitle(each.name), each.values)), __("no points yet")),
    );
  };

  return {
    element,
    update(all) {
      const who = all.map(({ store }) => store.job.job_id).join();
      const wait = shown.startsWith(`${who}\n`) ? built_at + BUILD_MS - performance.now() : 0;
      clearTimeout(later);
      // What comes last is seen, though nothing comes behind it.
      if (wait > 0) later = setTimeout(build, wait, all, who);
      else build(all, who);
    },
  };
}

function line(title: string, values: readonly (string | null)[]): HTMLElement {
  return h("tr", {}, h("th", { scope: "row" }, title), ...values.map((value) => h("td", { title: value }, value ?? "–")));
}

/** The last value of every metric that says something, in the order of the charts. */
function lastValues(all: readonly Contestant[]): { name: string; values: (string | null)[] }[] {
  const names = new Set(all.flatMap(({ store }) => [...store.series.keys()]));
  const worth = [...names].filter((name) => !isMinor(name, (other) => names.has(other)));
  return GROUPS.flatMap((group) => worth.filter((name) => groupOf(name) === group)).map((name) => ({
    name,
    values: all.map(({ store }) => {
      const series = store.series.get(name);
      return series ? seriesValue(name, series.last) : null;
    }),
  }));
}
