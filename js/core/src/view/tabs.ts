// Tabs, as the keyboard and a screen reader know them; what a page shows is made when it is opened for the first time.

import { h, setAttribute, setShown, setText } from "./dom";

/** What a tab shows. */
export interface TabPage {
  element: HTMLElement;
  /** It came into view, or left it. */
  opened?(open: boolean): void;
  /** Called as things change, while it is in view. */
  update?(now_ms: number): void;
}

export interface Tab {
  name: string;
  label: string;
  page(): TabPage;
}

export interface Tabs {
  /** The tabs themselves, and what the one that is open shows. */
  bar: HTMLElement;
  panels: HTMLElement;
  open(name: string, focus?: boolean): void;
  readonly opened: string;
  /** A number beside the tab's label; "warn" where it deserves a look. */
  count(name: string, count: number, tone?: "warn"): void;
  update(now_ms: number): void;
}

let made = 0;

/** The first tab is open at first. */
export function tabs(label: string, all: readonly Tab[]): Tabs {
  made += 1;
  const prefix = `tl-tabs-${made}`;
  const entries = all.map((tab) => {
    const number = h("span", { class: "tl-tab-count" });
    const button = h("button", { type: "button", role: "tab", class: "tl-tab-button", id: `${prefix}-${tab.name}`, "aria-controls": `${prefix}-${tab.name}-panel` }, tab.label, number);
    const panel = h("div", { role: "tabpanel", class: "tl-tab-panel", id: `${prefix}-${tab.name}-panel`, "aria-labelledby": button.id, "data-tab": tab.name });
    setShown(number, false);
    button.addEventListener("click", () => open(tab.name));
    return { tab, button, number, panel, page: null as TabPage | null };
  });
  const bar = h("div", { class: "tl-tabs", role: "tablist", "aria-label": label }, ...entries.map(({ button }) => button));
  const panels = h("div", { class: "tl-tab-panels" }, ...entries.map(({ panel }) => panel));
  let opened = "";

  const open = (name: string, focus = false): void => {
    for (const entry of entries) {
      const { tab, button, panel } = entry;
      const now = tab.name === name;
      const was = tab.name === opened;
      setAttribute(button, "aria-selected", String(now));
      // One stop of the keyboard's; the arrows go from tab to tab.
      setAttribute(button, "tabindex", now ? "0" : "-1");
      setShown(panel, now);
      if (now && !entry.page) panel.append((entry.page = tab.page()).element);
      if (now !== was) entry.page?.opened?.(now);
      if (now && focus) button.focus();
    }
    opened = name;
  };

  bar.addEventListener("keydown", (event) => {
    const last = entries.length - 1;
    const at = entries.findIndex(({ tab }) => tab.name === opened);
    const to: Record<string, number> = { ArrowLeft: at > 0 ? at - 1 : last, ArrowRight: at < last ? at + 1 : 0, Home: 0, End: last };
    if (!(event.key in to)) return;
    event.preventDefault();
    event.stopPropagation();
    open(entries[to[event.key]!]!.tab.name, true);
  });
  open(all[0]!.name);

  return {
    bar,
    panels,
    open,
    get opened() {
      return opened;
    },
    count(name, count, tone) {
      const entry = entries.find(({ tab }) => tab.name === name)!;
      setText(entry.number, String(count));
      setAttribute(entry.number, "data-tone", tone ?? null);
      setShown(entry.number, count > 0);
    },
    update: (now_ms) => entries.find(({ tab }) => tab.name === opened)?.page?.update?.(now_ms),
  };
}
