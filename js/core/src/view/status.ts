// The words and marks for a job's state, the same wherever a job is shown.

import { __ } from "../i18n";
import { count, ordinal } from "../data/format";
import { shortened } from "../data/visible";
import { isEnded, isReleased, type Job } from "../wire/protocol";
import { h, setAttribute, setText } from "./dom";

/** The mark's shape says it too: colour never stands alone. */
type Mark = "run" | "wait" | "hold" | "free" | "fail" | "done" | "stop";

const MARKS: Record<string, Mark> = {
  queued: "wait",
  starting: "wait",
  running: "run",
  paused: "hold",
  pausing: "hold",
  cancelling: "stop",
  completed: "done",
  failed: "fail",
  cancelled: "stop",
  interrupted: "fail",
};

export function statusWord({ status }: Pick<Job, "status">): string {
  const words: Record<string, string> = {
    queued: __("Queued"),
    starting: __("Starting"),
    running: __("Running"),
    paused: __("Paused"),
    pausing: __("Pausing"),
    cancelling: __("Cancelling"),
    completed: __("Completed"),
    failed: __("Failed"),
    cancelled: __("Cancelled"),
    interrupted: __("Interrupted"),
  };
  return words[status ?? ""] ?? (status || "…");
}

export function statusMark(job: Pick<Job, "status" | "pause">): string {
  return isReleased(job) ? "free" : MARKS[job.status ?? ""] ?? "wait";
}

/** More of a name no tab and no sentence has room for. */
const LONGEST_NAME = 80;

/** What a job is called, where that stands among other words. */
export function jobTitle({ name, job_id }: Pick<Job, "name" | "job_id">): string {
  return shortened(name || job_id, LONGEST_NAME);
}

/** What a pause has come to, or null where there is none. */
export function pauseText(job: Job): string | null {
  const release = job.pause === "release";
  if (job.status === "pausing") return release ? __("freeing the GPU…") : __("holding…");
  if (job.status !== "paused") return null;
  if (job.current_step == null) return release ? __("GPU freed") : __("held");
  const step = count(job.current_step);
  return release ? __("GPU freed at %1", step) : __("held at %1", step);
}

/** What a queued job waits for, in short and with its place. */
function queueText(job: Job): string {
  if (!job.queue) return __("waiting its turn");
  return `${job.queue.reason.split(":")[0]} · ${ordinal(job.queue.position)}`;
}

/** What the job does besides the obvious, or null: a training job that trains needs no words. */
export function phaseText(job: Job): string | null {
  if (isEnded(job)) return null;
  const pause = pauseText(job);
  if (pause !== null) return pause;
  if (job.status === "queued") return queueText(job);
  if (job.phase) return job.phase === "training" ? null : `${job.phase}…`;
  return job.status === "starting" ? __("starting its kernel…") : null;
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
