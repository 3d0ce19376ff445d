// The kernel that is kept after the end of its job's work: that it holds memory, until when, and what to do about it.

import { __ } from "../i18n";
import { clock, gigabytes } from "../data/format";
import type { JobStore } from "../data/store";
import { isEnded, type Job } from "../wire/protocol";
import { reasonText } from "./controls";
import { h, setAttribute, setShown, setText } from "./dom";
import type { Part } from "./header";
import { question } from "./question";

export interface KeptOptions {
  end(): Promise<Job>;
  /** All that the server says of the job: no frames tell of an ended job's kernel. */
  read(): Promise<Job>;
  /** Null where this page has no consoles. */
  openConsole: (() => Promise<void>) | null;
  signal: AbortSignal;
}

/** How often it is asked what the kernel holds, and whether it is there at all; and how soon after it was told to end. */
const READ_MS = 10_000;
const SOON_MS = 1_000;

export function kept(store: JobStore, { end, read, openConsole, signal }: KeptOptions): Part {
  const button = (label: string, style = "", title: string | null = null): HTMLButtonElement =>
    h("button", { type: "button", class: `tl-button ${style}`.trim(), title }, label);
  const words = h("span", { class: "tl-kept-text" });
  const open = button(__("Open console"), "", __("Look at what the training left in its kernel"));
  const ask = button(__("End kernel…"), "tl-quiet");
  const yes = button(__("End it"), "tl-danger");
  const no = button(__("Keep it"));
  const refusal = h("p", { class: "tl-refused", role: "alert" });
  const begin = (): boolean => {
    if (!under_way) setText(refusal, "");
    return !under_way;
  };
  const asked = question({ ask, yes, no, text: __("What is only in its memory is lost."), begin, update: () => update() });
  const buttons = h("span", { class: "tl-controls" }, open, ask, asked.prompt);
  const element = h("div", { class: "tl-kept" }, words, buttons, refusal);
  let under_way = false;
  /** Whether the kernel is being looked after: from when it is seen to be kept until it is gone. */
  let reading = false;
  let timer: ReturnType<typeof setTimeout> | null = null;

  const there = (): boolean => isEnded(store.job) && store.job.kept != null;
  const take = ({ kept, actions, exit }: Job): void => {
    store.merge({ kept: kept ?? null, actions: actions ?? [], exit });
    store.changed();
  };

  const readLater = (ms: number): void => {
    if (timer !== null) clearTimeout(timer);
    timer = signal.aborted ? null : setTimeout(() => void readNow(), ms);
  };
  const readNow = async (): Promise<void> => {
    timer = null;
    // Nobody sees it meanwhile; the next look tells.
    if (!document.hidden) await read().then(take, () => {});
    if (there()) readLater(ending() ? SOON_MS : READ_MS);
  };
  /** Whether it was told to end, and is not gone yet. */
  const ending = (): boolean => there() && !(store.job.actions ?? []).includes("end_kernel");

  const update = (now_ms = Date.now()): void => {
    const focused = document.activeElement;
    setShown(element, there());
    if (!there()) {
      asked.asking = reading = false;
      if (focused && element.contains(focused)) element.closest<HTMLElement>("section")?.focus();
      return;
    }
    if (!reading) readLater(0);
    reading = true;
    setText(words, keptText(store.job, now_ms + store.clock_skew_ms));
    asked.asking &&= !ending();
    setShown(open, openConsole !== null && !ending() && !asked.asking);
    setShown(ask, !ending() && !asked.asking);
    setShown(asked.prompt, asked.asking);
    for (const each of [open, ask]) setAttribute(each, "aria-disabled", under_way ? "true" : null);
    setShown(refusal, refusal.textContent !== "");
  };

  const perform = (work: () => Promise<void>): void => {
    if (under_way) return;
    under_way = true;
    asked.asking = false;
    setText(refusal, "");
    update();
    work()
      .catch((error: unknown) => setText(refusal, reasonText(error)))
      .finally(() => {
        under_way = false;
        update();
      });
  };
  open.addEventListener("click", () => openConsole && perform(openConsole));
  yes.addEventListener("click", () => {
    // The buttons go; leave the keyboard in the job.
    element.closest<HTMLElement>("section")?.focus();
    perform(() => end().then(take).finally(() => readLater(SOON_MS)));
  });
  signal.addEventListener("abort", () => timer !== null && clearTimeout(timer), { once: true });
  return { element, update };

  function keptText(job: Job, now_ms: number): string {
    const memory = job.kept?.memory_gb;
    const holds = memory == null ? "" : ` · ${__("holds %1", gigabytes(memory, null))}`;
    if (ending()) return `${__("Ending its kernel…")}${holds}`;
    const until = job.kept?.until;
    return `${until ? __("Kernel kept until %1", clock(until, now_ms)) : __("Kernel kept")}${holds}`;
  }
}
