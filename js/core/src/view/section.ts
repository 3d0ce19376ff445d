// One group of charts: a heading that folds it, and as many charts as somebody wants to see.

import { count } from "../data/format";
import { __ } from "../i18n";
import { h, setAttribute, setShown, setText } from "./dom";
import { groupTitle, type Group } from "./groups";

export interface Section {
  element: HTMLElement;
  /** Where its charts stand. */
  grid: HTMLElement;
  /** Those of its charts that are to be seen. */
  show<T>(all: readonly T[], folded: boolean): readonly T[];
}

/** So many charts at first, and with each press of the button below them. */
const FIRST = 12;
const MORE = 24;

/** `fold` is told what was chosen, `changed` that more are to be seen. */
export function section(group: Group, fold: (folded: boolean) => void, changed: () => void): Section {
  let most = FIRST;
  let is_folded = false;
  const number = h("span", { class: "tl-dim" });
  const head = h("button", { type: "button", class: "tl-group-head" }, groupTitle(group), " ", number);
  const grid = h("div", { class: "tl-grid" });
  const more = h("button", { type: "button", class: "tl-button tl-show-more" });
  const element = h("section", { class: "tl-chart-group", "aria-label": groupTitle(group) }, head, grid, more);
  head.addEventListener("click", () => fold(!is_folded));
  more.addEventListener("click", () => {
    most += MORE;
    changed();
  });
  return {
    element,
    grid,
    show(all, folded) {
      is_folded = folded;
      const left = all.length - most;
      setShown(element, all.length > 0);
      setShown(grid, !folded);
      setShown(more, !folded && left > 0);
      setAttribute(head, "aria-expanded", String(!folded));
      setText(number, count(all.length));
      setText(more, left > MORE ? __("Show %1 more of %2", MORE, count(left)) : __("Show %1 more", Math.max(0, left)));
      return folded ? [] : all.slice(0, most);
    },
  };
}
