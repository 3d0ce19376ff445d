// The head of a job: its state, its name, how fresh the page's knowledge is, and what can be done.

import { __ } from "../i18n";
import { age } from "../data/format";
import type { JobChannel } from "../wire/channel";
import { POLL_MS } from "../wire/polling";
import { controls, type SendAction } from "./controls";
import { h, setAttribute, setShown, setText } from "./dom";
import { statusBadge } from "./status";

/** How fresh the page's knowledge is, in a word or two; empty where that is no news. */
function liveText({ live, via, silent_ms }: JobChannel): string {
  // How old the numbers are matters only when they are not being renewed.
  const old = __("numbers of %1 ago", age(silent_ms / 1000));
  switch (live) {
    case "connecting":
      return __("connecting…");
    case "live":
      if (via === "polling") return `${__("polling every %1 s", POLL_MS / 1000)} · ${old}`;
      return via === "kernel" ? __("live via the kernel") : __("live");
    case "reconnecting":
      return `${__("reconnecting")} · ${old}`;
    case "missing":
      return __("not found");
    case "forbidden":
      return __("not signed in");
    default:
      return "";
  }
}

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
      setAttribute(live, "data-live", channel.live === "live" ? channel.via : channel.live);
      const words = liveText(channel);
      setText(live, words);
      setShown(live, words !== "");
      update();
    },
  };
}
