// The machine's gauges: a bar with its value, and a strip of the last minutes below.

import { __ } from "../i18n";
import { gaugeGroups, type Gauge, type GaugeGroup, type GaugeScope, type Viewed } from "../data/gauges";
import { HISTORY } from "../data/store";
import type { System } from "../wire/protocol";
import { h, setAttribute, setShown, setText, svg } from "./dom";

interface GaugeView {
  element: HTMLElement;
  show(group: string, gauge: Gauge, past: (number | null)[]): void;
}

function gaugeView(): GaugeView {
  const label = h("span", { class: "tl-dim" });
  const warning = h("span", { class: "tl-warning" });
  const value = h("span", { class: "tl-value" });
  const fill = h("i");
  const own = h("i", { class: "tl-own" });
  const bar = h("div", { class: "tl-bar" }, fill, own);
  const strip = svg("path");
  const history = svg("svg", { class: "tl-strip", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, strip);
  const element = h("div", { class: "tl-gauge", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 });
  element.append(h("div", { class: "tl-gauge-head" }, label, h("span", {}, warning, value)), bar, history);
  return {
    element,
    show(group, gauge, past) {
      setText(label, gauge.label);
      setText(value, gauge.text);
      setText(warning, gauge.warning ? `${gauge.warning} ` : "");
      setAttribute(element, "aria-label", `${group} ${gauge.label}`);
      setAttribute(element, "aria-valuenow", String(Math.round((gauge.fraction ?? 0) * 100)));
      setAttribute(element, "aria-valuetext", gauge.fraction === null ? __("unknown") : [gauge.warning, gauge.text, gauge.own && `(${gauge.own.text})`].filter(Boolean).join(" "));
      setAttribute(element, "title", gauge.own?.text ?? null);
      // Its own part in full colour, what others use of it fainter behind.
      setAttribute(element, "data-own", gauge.own ? "" : null);
      own.style.width = `${(gauge.own?.fraction ?? 0) * 100}%`;
      setAttribute(element, "data-warning", gauge.warning);
      fill.style.width = `${(gauge.fraction ?? 0) * 100}%`;
      setAttribute(strip, "d", stripPath(past));
    },
  };
}

/**
 * The area under the last readings. The newest stands at the right edge and each keeps its width, so the strip fills
 * from the right and never stretches; what was unknown leaves a gap.
 */
export function stripPath(past: readonly (number | null)[]): string {
  const width = 100 / HISTORY;
  const left = (i: number): number => Math.round((100 - (past.length - i) * width) * 10) / 10;
  let path = "";
  let open = false;
  past.forEach((fraction, i) => {
    if (fraction !== null) {
      const y = Math.round((1 - fraction) * 90) / 10 + 0.5;
      path += open ? `L${left(i)} ${y}` : `M${left(i)} 10V${y}`;
      path += `H${left(i + 1)}`;
    }
    if (open && fraction === null) path += "V10Z";
    open = fraction !== null;
  });
  return open ? `${path}V10Z` : path;
}

export interface GaugePanel {
  element: HTMLElement;
  update(system: System | null, history: readonly System[], viewed?: Viewed | null): void;
}

export function gaugePanel(scope: GaugeScope): GaugePanel {
  const element = h("div", { class: "tl-gauges" });
  let shape = "";
  let views: GaugeView[] = [];
  let details: [HTMLElement, HTMLElement][] = [];
  let boxes: HTMLElement[] = [];

  const build = (groups: readonly GaugeGroup[]): void => {
    views = [];
    details = groups.map(() => [h("span", { class: "tl-dim tl-gauge-detail" }), h("span", { class: "tl-dim tl-gauge-user" })]);
    boxes = groups.map((group, k) => {
      const mine = group.gauges.map(() => gaugeView());
      views.push(...mine);
      const title = h("div", { class: "tl-gauge-title" }, h("span", {}, `${group.title} `), ...details[k]!);
      // A machine is told by its last group; in a job's view it takes a line of its own, the GPUs are what counts.
      const host = k === groups.length - 1;
      return h("div", { class: host ? "tl-gauge-group tl-host" : "tl-gauge-group" }, title, ...mine.map((view) => view.element));
    });
    element.replaceChildren(...boxes);
  };

  return {
    element,
    update(system, history, viewed = null) {
      const groups = gaugeGroups(system, scope, viewed);
      // A GPU can be lost or come back; then the panel is built anew, else only filled.
      const now = groups.map((group) => `${group.title} ${group.gauges.length}`).join("|");
      if (now !== shape) build(groups);
      shape = now;
      setAttribute(element, "data-groups", String(groups.length));
      const past = history.map((reading) => gaugeGroups(reading, scope));
      let k = 0;
      groups.forEach((group, at) => {
        setAttribute(boxes[at]!, "data-held", group.held ? "" : null);
        const [detail, user] = details[at]!;
        setText(detail, group.detail);
        setText(user, group.user);
        // Long ones are cut off on the page.
        setAttribute(detail, "title", group.detail || null);
        setAttribute(user, "title", group.user || null);
        group.gauges.forEach((gauge, i) => {
          const before = past.map((reading) => reading.find((g) => g.title === group.title)?.gauges[i]?.fraction ?? null);
          views[k]?.show(group.title, gauge, before);
          k += 1;
        });
      });
      setShown(element, groups.length > 0);
    },
  };
}
