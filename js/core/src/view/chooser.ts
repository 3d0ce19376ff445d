// Which charts are shown: all of them by name, each with a box to tick, and a field to find one among hundreds.

import { count } from "../data/format";
import { __ } from "../i18n";
import { h, setShown, setText } from "./dom";
import { GROUPS, groupTitle, matches, type Group } from "./groups";
import { tickBox } from "./menu";

export interface Choice {
  key: string;
  title: string;
  group: Group;
  shown: boolean;
}

export interface Chooser {
  element: HTMLElement;
  fill(choices: readonly Choice[]): void;
}

/** More names than these are listed when they are searched for. */
const MOST = 60;
/** Fewer need no search. */
export const MANY = 12;

/** In which the name of a chart, or a part of it, is typed. */
export function searchField(): HTMLInputElement {
  return h("input", { type: "search", class: "tl-search", placeholder: __("Find a chart"), "aria-label": __("Find a chart") });
}

export function chooser(choose: (key: string, shown: boolean) => void): Chooser {
  const search = searchField();
  const list = h("div", { class: "tl-choices" });
  const rest = h("p", { class: "tl-dim" });
  const element = h("div", { role: "group", "aria-label": __("Charts shown") }, search, list, rest);
  let all: readonly Choice[] = [];

  const build = (): void => {
    const found = all.filter(({ key }) => matches(key, search.value));
    let group: Group | null = null;
    list.replaceChildren(
      ...found.slice(0, MOST).flatMap((choice) => {
        const box = tickBox(choice.title, (shown) => choose(choice.key, shown));
        box.box.checked = choice.shown;
        const head = choice.group === group ? [] : [h("div", { class: "tl-menu-title" }, groupTitle(choice.group))];
        group = choice.group;
        return [...head, box.element];
      }),
    );
    setText(rest, found.length > MOST ? __("and %1 more: find them by name", count(found.length - MOST)) : found.length === 0 ? __("no chart of this name") : "");
    setShown(rest, rest.textContent !== "");
  };
  search.addEventListener("input", build);
  return {
    element,
    fill(choices) {
      all = GROUPS.flatMap((each) => choices.filter(({ group }) => group === each));
      setShown(search, all.length > MANY);
      build();
    },
  };
}
