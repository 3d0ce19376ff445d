// The words and marks for a job's state, the same wherever a job is shown.

import { count, ordinal } from "../data/format";
import { isEnded, isReleased, type Job } from "../wire/protocol";
import { h, setAttribute, setText } from "./dom";

/** The mark's shape says it too: colour never stands alone. */
type Mark = "run" | "wait" | "hold" | "free" | "fail" | "done" | "stop";

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

export function statusMark(job: Pick<Job, "status" | "pause">): string {
  return isReleased(job) ? "free" : WORDS[job.status ?? ""]?.[1] ?? "wait";
}

/** What a pause has come to, or null where there is none. */
export function pauseText(job: Job): string | null {
  const release = job.pause === "release";
  if (job.status === "pausing") return release ? "freeing the GPU…" : "holding…";
  if (job.status !== "paused") return null;
  return `${release ? "GPU freed" : "held"}${job.current_step == null ? "" : ` at ${count(job.current_step)}`}`;
}

/** What a queued job waits for, in short and with its place. */
function queueText(job: Job): string {
  if (!job.queue) return "waiting its turn";
  return `${job.queue.reason.split(":")[0]} · ${ordinal(job.queue.position)}`;
}

/** What the job does besides the obvious, or null: a training job that trains needs no words. */
export function phaseText(job: Job): string | null {
  if (isEnded(job)) return null;
  const pause = pauseText(job);
  if (pause !== null) return pause;
  if (job.status === "queued") return queueText(job);
  if (job.phase) return job.phase === "training" ? null : `${job.phase}…`;
  return job.status === "starting" ? "starting its kernel…" : null;
}

/** A status mark, with its word beside it or, in a list, for screen readers only. */
export function statusBadge(worded: boolean): { element: HTMLElement; show(job: Pick<Job, "status" | "pause">): void } {
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
