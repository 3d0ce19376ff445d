// A job's output as its terminal shows it: followed as it grows, searched from its first line to its last.

import { __, _n } from "../i18n";
import { count, bytes } from "../data/format";
import { MOST_FOUND, findAll, type Found } from "../data/find";
import type { JobStore } from "../data/store";
import { Terminal } from "../data/terminal";
import { isEnded } from "../wire/protocol";
import { LogReader, logOf } from "../wire/log";
import { jobPath, type Server } from "../wire/server";
import { h, setAttribute, setShown, setText } from "./dom";
import { downloadLink } from "./download";
import { logText } from "./logtext";
import type { TabPage } from "./tabs";

const SEARCH_MS = 150;

export function logPage(store: JobStore, server: Server, signal: AbortSignal): TabPage {
  const { job_id } = store.job;
  let terminal = new Terminal();
  let unread = 0;
  let failed = false;
  let begun = false;

  const button = (label: string, name: string | null = null): HTMLButtonElement =>
    h("button", { type: "button", class: "tl-button", "aria-label": name, title: name }, label);
  const search = h("input", { type: "search", class: "tl-search", placeholder: __("Search the output"), "aria-label": __("Search the output") });
  const matches = h("span", { class: "tl-dim tl-matches", role: "status" });
  const previous = button("↑", __("Previous match"));
  const next = button("↓", __("Next match"));
  const wrap = button(__("Wrap"), __("Break long lines"));
  const follow = button(__("Follow"), __("Keep the newest line in view"));
  const save = downloadLink(server, `${jobPath(job_id)}/files/output.log`, `${job_id}.log`, __("Download"), __("Download the output"));
  const bar = h("div", { class: "tl-log-bar" }, search, previous, next, matches, h("span", { class: "tl-grow" }), wrap, follow, save);
  const earlier = button("");
  const note = h("p", { class: "tl-log-note tl-dim" });
  const view = logText(__("Output"), () => showFollow(), signal);
  const element = h("div", { class: "tl-log" }, bar, h("div", { class: "tl-log-earlier" }, earlier), note, view.element);

  const showFollow = (): void => setAttribute(follow, "aria-pressed", String(view.following));
  let wrapped = true;
  const showWrap = (): void => {
    setAttribute(wrap, "aria-pressed", String(wrapped));
    setAttribute(view.element, "data-wrap", wrapped ? "" : null);
  };

  let wanted = "";
  let found: Found[] = [];
  let at = -1;
  const showMatches = (busy = false): void => {
    const many = found.length === MOST_FOUND ? __("more than %1", count(MOST_FOUND)) : count(found.length);
    if (!wanted) setText(matches, "");
    else if (busy) setText(matches, __("searching…"));
    else setText(matches, found.length === 0 ? __("no match") : at < 0 ? many : __("%1 of %2", count(at + 1), many));
    for (const each of [previous, next]) setAttribute(each, "aria-disabled", found.length > 0 ? null : "true");
  };
  const go = (to: number): void => {
    if (found.length === 0) return;
    at = (to + found.length) % found.length;
    view.mark(found, found[at]!);
    view.reveal();
    showMatches();
  };
  const find = async (text: string): Promise<void> => {
    wanted = text;
    found = [];
    at = -1;
    if (wanted && unread > 0) {
      showMatches(true);
      await reader.readAll();
      // Something else may be wanted by now.
      if (wanted !== text) return;
    }
    found = findAll(terminal.lines, terminal.dropped, wanted);
    if (found.length > 0) go(found.length - 1);
    else view.mark([], null);
    showMatches();
  };

  /** Shows what the terminal shows now; what is searched for is looked for in the changed lines alone. */
  const show = (): void => {
    const changed = terminal.takeChanged();
    // A line that nothing was written into yet is none.
    const { lines, dropped } = terminal;
    view.show(lines[lines.length - 1]!.text ? lines : lines.slice(0, -1), dropped, changed);
    if (wanted && changed < Infinity) {
      found = found.filter(({ line }) => line < changed && line >= terminal.dropped);
      const first = Math.max(changed, terminal.dropped);
      found.push(...findAll(terminal.lines.slice(first - terminal.dropped), first, wanted, MOST_FOUND - found.length));
      at = Math.min(at, found.length - 1);
      view.mark(found, found[at] ?? null);
      showMatches();
    }
    const empty = terminal.lines.length === 1 && terminal.lines[0]!.text === "";
    const words = failed ? __("The output could not be read. Trying again.") : !begun ? __("Reading the output…") : isEnded(store.job) ? __("It wrote nothing.") : __("Nothing was written yet.");
    const cut = dropped > 0 ? __("The oldest lines are left out here. The download has all of it.") : "";
    setText(note, failed || empty ? words : cut);
    setShown(note, note.textContent !== "");
    setText(earlier, __("Show what was written before (%1)", bytes(unread)));
    setShown(earlier, unread > 0);
  };

  const reader = new LogReader(
    logOf(server, job_id),
    {
      begin(bytes_before) {
        terminal = new Terminal();
        unread = bytes_before;
        begun = true;
        view.show(terminal.lines, 0, 0);
      },
      text(text) {
        terminal.write(text);
        show();
      },
      trouble(error) {
        failed = error !== null;
        show();
      },
    },
    () => isEnded(store.job),
  );

  let typing: ReturnType<typeof setTimeout> | undefined;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => void find(search.value), SEARCH_MS);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(event.shiftKey ? at - 1 : at + 1);
    else if (event.key === "Escape" && search.value) {
      search.value = "";
      void find("");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  previous.addEventListener("click", () => go(at - 1));
  next.addEventListener("click", () => go(at + 1));
  wrap.addEventListener("click", () => {
    wrapped = !wrapped;
    showWrap();
  });
  follow.addEventListener("click", () => {
    view.following = !view.following;
    showFollow();
  });
  earlier.addEventListener("click", () => {
    view.following = false;
    showFollow();
    void reader.readAll().then(() => (view.element.scrollTop = 0));
    view.element.focus();
  });
  signal.addEventListener("abort", () => {
    clearTimeout(typing);
    reader.show(false);
  });
  showFollow();
  showWrap();
  showMatches();

  return {
    element,
    opened(open) {
      reader.show(open);
      if (open) show();
    },
    update: () => reader.wake(),
  };
}
