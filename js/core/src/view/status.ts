// The words and marks for a job's state, the same wherever a job is shown.

import type { Job } from "../wire/protocol";
import { h, setAttribute, setText } from "./dom";

/** The mark's shape says it too: colour never stands alone. */
type Mark = "run" | "wait" | "hold" | "fail" | "done" | "stop";

const WORDS: Record<string, readonly [string, Mark]> = {
  queued: ["Queued", "wait"],
  starting: ["Starting", "wait"],
  running: ["Running", "run"],
  paused: ["Paused", "hold"],
  pausing: ["Pausing", "hold"],
  cancelling: ["Cancelling", "stop"],
  completed: ["Completed", "done"],
  failed: ["Failed", "fail"],
  cancelled: ["Cancelled", "stop"],
  interrupted: ["Interrupted", "fail"],
};

export function statusWord(job: Pick<Job, "status">): string {
  return WORDS[job.status ?? ""]?.[0] ?? (job.status || "…");
}

export function statusMark(job: Pick<Job, "status">): string {
  return WORDS[job.status ?? ""]?.[1] ?? "wait";
}

/** A status mark, with its word beside it or, in a list, for screen readers only. */
export function statusBadge(worded: boolean): { element: HTMLElement; show(job: Pick<Job, "status">): void } {
  const mark = h("i", { "aria-hidden": "true" });
  const word = h("span", { class: worded ? null : "tl-sr" });
  const element = h("span", { class: "tl-state" }, mark, word);
  return {
    element,
    show(job) {
      setAttribute(element, "data-mark", statusMark(job));
      setText(word, statusWord(job));
    },
  };
}
