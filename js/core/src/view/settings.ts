// What a job was asked to do and in what it runs: its parameters, its code, its environment, as they were recorded.

import { __, _n } from "../i18n";
import { given, groupsOf, said, type Environment } from "../data/settings";
import type { JobStore } from "../data/store";
import type { Detail } from "./detail";
import { h, setAttribute, setShown, setText } from "./dom";
import type { TabPage } from "./tabs";

/** A value that is longer has a line of its own, and a box that scrolls. */
const LONG = 300;

export interface SettingsOptions {
  /** Opens the form with this job's parameters; null where the page has none. */
  launchAgain: (() => void) | null;
}

export function settingsPage(store: JobStore, detail: Detail, { launchAgain }: SettingsOptions): TabPage {
  const search = h("input", { type: "search", class: "tl-search", placeholder: __("Search settings"), "aria-label": __("Search settings") });
  const again = h("button", { type: "button", class: "tl-button" }, __("Launch again…"));
  const bar = h("div", { class: "tl-bar-of-page" }, search, h("span", { class: "tl-grow" }), again);
  const note = h("p", { class: "tl-dim" });
  const list = h("div", { class: "tl-settings" });
  const element = h("div", { class: "tl-page" }, bar, list, note);
  let shown = "";
  // Until it is known what kind of job it is.
  setShown(again, false);

  const filter = (): void => {
    const wanted = search.value.trim().toLowerCase();
    for (const group of list.querySelectorAll<HTMLElement>("[data-group]")) {
      let any = false;
      for (const row of group.querySelectorAll<HTMLElement>(".tl-setting")) {
        const here = !wanted || (row.textContent ?? "").toLowerCase().includes(wanted);
        setShown(row, here);
        any ||= here;
      }
      setShown(group, any);
      if (wanted && group instanceof HTMLDetailsElement) group.open = any;
    }
  };
  search.addEventListener("input", filter);
  search.addEventListener("keydown", (event) => event.stopPropagation());
  again.addEventListener("click", () => launchAgain?.());

  const code = (name: string, text: string): HTMLElement => h("pre", { tabindex: 0, "aria-label": name }, text);
  const rows = (values: readonly [string, unknown][]): HTMLElement =>
    h(
      "dl",
      {},
      ...values.map(([name, value]) => {
        const text = said(value);
        const long = text.includes("\n") || text.length > LONG;
        return h("div", { class: long ? "tl-setting tl-long" : "tl-setting" }, h("dt", {}, name), h("dd", {}, long ? code(name, text) : text));
      }),
    );
  const group = (title: string, values: [string, unknown][]): HTMLElement => h("section", { "data-group": "" }, h("h4", {}, title), rows(values));
  const folded = (title: string, values: [string, unknown][]): HTMLElement => h("details", { "data-group": "" }, h("summary", {}, title), rows(values));

  return {
    element,
    update() {
      detail.want();
      const { kind, spec } = store.job;
      setShown(again, launchAgain !== null && kind === "finetune");
      const environment = (detail.job?.environment ?? null) as Environment | null;
      const directory = detail.job?.directory ?? null;
      const words = detail.job ? (environment ? "" : __("What it runs in is not known yet.")) : detail.failed ? __("What it runs in could not be read. Trying again.") : __("Looking…");
      setText(note, words);
      setShown(note, words !== "");
      const key = JSON.stringify([spec, environment, directory]);
      if (key === shown) return;
      shown = key;
      const { packages, ...rest } = groupsOf(environment);
      const asked = given(spec ?? detail.job?.spec ?? {});
      const sections: HTMLElement[] = [];
      if (asked.parameters.length > 0) sections.push(group(__("Parameters"), asked.parameters));
      if (asked.code) sections.push(h("section", { "data-group": "" }, h("h4", {}, __("Code")), h("div", { class: "tl-setting tl-long" }, code(__("Code"), asked.code))));
      if (asked.job.length > 0) sections.push(group(__("Job"), directory ? [...asked.job, [__("folder"), directory]] : asked.job));
      if (rest.machine.length > 0) sections.push(group(__("Environment"), rest.machine));
      if (rest.seeds.length > 0) sections.push(group(__("Seeds"), rest.seeds));
      if (rest.variables.length > 0) sections.push(group(__("Variables"), rest.variables));
      if (packages.length > 0) sections.push(folded(_n("%1 package", "%1 packages", packages.length), packages));
      list.replaceChildren(...sections);
      setAttribute(list, "data-groups", String(sections.length));
      filter();
    },
  };
}
