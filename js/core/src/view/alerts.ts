// What a training's user should know: the newest alert in one line that is always in view, all of them in their tab.

import { __, _n } from "../i18n";
import { clock, count } from "../data/format";
import type { JobStore } from "../data/store";
import { shortened } from "../data/visible";
import type { Alert } from "../wire/protocol";
import { h, setShown, setText } from "./dom";
import type { Part } from "./header";
import type { TabPage } from "./tabs";

/** An alert is a sentence or two; what is longer was not meant to be read. */
const LONGEST = 1_000;

export interface Alerts extends Part {
  /** Messages that came since the last call, for the live region; what the page found when it opened is not among them. */
  fresh(): string[];
}

export function alerts(store: JobStore, openAll: () => void): Alerts {
  const message = h("span", { class: "tl-alert-text" });
  const at = h("span", { class: "tl-dim" });
  const number = h("span", { class: "tl-alert-count" });
  const element = h("button", { type: "button", class: "tl-alerts" }, h("i", { class: "tl-alert-mark", "aria-hidden": "true" }, "!"), message, at, number);
  element.addEventListener("click", openAll);
  let known: Set<string> | null = null;

  return {
    element,
    update() {
      const all = store.job.alerts ?? [];
      const newest = all[all.length - 1];
      setShown(element, newest !== undefined);
      if (!newest) return;
      setText(message, shortened(newest.message, LONGEST));
      setText(at, stepText(newest));
      setText(number, _n("%1 alert", "%1 alerts", all.length));
    },
    fresh() {
      if (store.job.status == null) return [];
      const all = store.job.alerts ?? [];
      const before = known;
      known = new Set(all.map(keyOf));
      return before ? all.filter((alert) => !before.has(keyOf(alert))).map((alert) => alert.message) : [];
    },
  };
}

export function alertsPage(store: JobStore): TabPage {
  const note = h("p", { class: "tl-dim" }, __("No alerts. What looks wrong in the training or on its machine will be said here."));
  const list = h("ol", { class: "tl-alert-list" });
  let shown = "";
  return {
    element: h("div", { class: "tl-page" }, note, list),
    update(now_ms) {
      const all = store.job.alerts ?? [];
      setShown(note, all.length === 0);
      const key = all.map(keyOf).join("\n");
      if (key === shown) return;
      shown = key;
      list.replaceChildren(...[...all].reverse().map((alert) => item(alert, now_ms + store.clock_skew_ms)));
    },
  };
}

const keyOf = (alert: Alert): string => `${alert.time} ${alert.name} ${alert.step} ${alert.message}`;

const stepText = (alert: Alert): string => (alert.step == null ? "" : __("step %1", count(alert.step)));

function item(alert: Alert, now_ms: number): HTMLElement {
  const when = [alert.time ? clock(alert.time, now_ms) : "", stepText(alert)].filter(Boolean).join(" · ");
  return h("li", {}, h("span", { class: "tl-dim" }, when), h("span", {}, shortened(alert.message, LONGEST)));
}
