// What a training's user should know: the newest alert in one line, the others when asked for.

import { clock, count } from "../data/format";
import type { JobStore } from "../data/store";
import type { Alert } from "../wire/protocol";
import { h, setShown, setText } from "./dom";
import type { Part } from "./header";

export interface Alerts extends Part {
  /** Messages that came since the last call, for the live region; what the page found when it opened is not among them. */
  fresh(): string[];
}

export function alerts(store: JobStore): Alerts {
  const message = h("span", { class: "tl-alert-text" });
  const at = h("span", { class: "tl-dim" });
  const number = h("span", { class: "tl-alert-count" });
  const list = h("ol");
  const summary = h("summary", {}, h("i", { class: "tl-alert-mark", "aria-hidden": "true" }, "!"), message, at, number);
  const element = h("details", { class: "tl-alerts" }, summary, list);
  let shown = "";
  let known: Set<string> | null = null;

  return {
    element,
    update(now_ms) {
      const all = store.job.alerts ?? [];
      const newest = all[all.length - 1];
      setShown(element, newest !== undefined);
      const key = all.map(keyOf).join("\n");
      if (!newest || key === shown) return;
      shown = key;
      setText(message, newest.message);
      setText(at, stepText(newest));
      setText(number, `${all.length} ${all.length === 1 ? "alert" : "alerts"}`);
      list.replaceChildren(...[...all].reverse().map((alert) => item(alert, now_ms + store.clock_skew_ms)));
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

const keyOf = (alert: Alert): string => `${alert.time} ${alert.name} ${alert.step} ${alert.message}`;

const stepText = (alert: Alert): string => (alert.step == null ? "" : `step ${count(alert.step)}`);

function item(alert: Alert, now_ms: number): HTMLElement {
  const when = [alert.time ? clock(alert.time, now_ms) : "", stepText(alert)].filter(Boolean).join(" · ");
  return h("li", {}, h("span", { class: "tl-dim" }, when), h("span", {}, alert.message));
}
