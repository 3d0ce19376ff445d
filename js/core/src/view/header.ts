// The head of a job: its state, its name, how fresh the page's knowledge is, and what can be done.

import { age } from "../data/format";
import type { JobChannel } from "../wire/channel";
import { controls, type SendAction } from "./controls";
import { h, setAttribute, setShown, setText } from "./dom";
import { statusBadge } from "./status";

const LIVE_WORDS: Record<string, string> = {
  connecting: "connecting…",
  live: "live",
  reconnecting: "reconnecting",
  missing: "not found",
  forbidden: "not signed in",
};

export interface Part {
  element: HTMLElement;
  update(now_ms: number): void;
}

export function header(channel: JobChannel, send: SendAction): Part {
  const { store } = channel;
  const badge = statusBadge(true);
  const name = h("span", { class: "tl-name" });
  const id = h("code", {}, store.job.job_id);
  const live = h("span", { class: "tl-live" });
  const { buttons, refusal, update } = controls(store, send);
  const element = h("header", {}, badge.element, name, id, h("span", { class: "tl-grow" }), live, buttons, refusal);
  return {
    element,
    update() {
      const { job } = store;
      badge.show(job);
      setText(name, job.name || job.job_id);
      setAttribute(name, "title", job.name ?? null);
      setShown(id, Boolean(job.name) && job.name !== job.job_id);
      setShown(badge.element, job.status != null || channel.live === "connecting");
      setAttribute(live, "data-live", channel.live);
      // How old the numbers are matters only when they are not being renewed.
      const old = channel.live === "reconnecting" ? ` · ${age(channel.silent_ms / 1000)} old` : "";
      setText(live, (LIVE_WORDS[channel.live] ?? "") + old);
      setShown(live, channel.live in LIVE_WORDS);
      update();
    },
  };
}
