// The progress bar and the row of facts under it.

import { clock, count, duration, epochs, metric, ordinal, percent, rate } from "../data/format";
import type { JobStore } from "../data/store";
import { isEnded, type Job } from "../wire/protocol";
import { h, setAttribute, setShown, setText } from "./dom";
import type { Part } from "./header";
import { phaseText } from "./status";

export function progressBar(store: JobStore): Part {
  const fill = h("i");
  const element = h("div", { class: "tl-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  return {
    element,
    update() {
      const { progress } = store.job;
      fill.style.width = `${Math.min(100, Math.max(0, progress ?? 0))}%`;
      // Without a value the bar is "indeterminate" to a screen reader, which is just what is known.
      setAttribute(element, "aria-valuenow", progress == null ? null : String(Math.round(progress)));
      setAttribute(element, "data-ended", isEnded(store.job) ? "" : null);
    },
  };
}

/** One fact: words with the number that counts in bold. Hidden while unknown. */
function fact(before: string, after = ""): { element: HTMLElement; show(value: string | null, rest?: string): void } {
  const bold = h("b");
  const tail = h("span", {}, after);
  const element = h("span", {}, before, bold, tail);
  return {
    element,
    show(value, rest = after) {
      setShown(element, value !== null);
      if (value === null) return;
      setText(bold, value);
      setText(tail, rest);
    },
  };
}

const total = (value: string | null): string => (value === null ? "" : ` / ${value}`);

export function facts(store: JobStore): Part {
  const done = fact("");
  const step = fact("step ");
  const epoch = fact("epoch ");
  const speed = fact("", " samples/s");
  const eta = fact("ETA ");
  const loss = fact("final loss ");
  const phase = h("span", { class: "tl-dim" });
  const when = h("span", { class: "tl-dim tl-when" });
  const element = h(
    "div",
    { class: "tl-facts" },
    done.element,
    step.element,
    epoch.element,
    loss.element,
    speed.element,
    eta.element,
    phase,
    when,
  );
  return {
    element,
    update(now_ms) {
      const { job } = store;
      const ended = isEnded(job);
      const moving = job.status === "running";
      done.show(job.progress == null ? null : percent(job.progress));
      step.show(job.current_step == null ? null : count(job.current_step), total(job.total_steps == null ? null : count(job.total_steps)));
      epoch.show(job.current_epoch == null ? null : epochs(job.current_epoch), total(job.total_epochs == null ? null : epochs(job.total_epochs)));
      loss.show(ended && job.final_loss != null ? metric(job.final_loss) : null);
      speed.show(job.samples_per_second == null || ended || job.status === "paused" ? null : rate(job.samples_per_second));
      eta.show(moving && job.eta_seconds != null ? duration(job.eta_seconds) : null);
      // Before the first point the empty chart says it, in the middle of the view.
      const doing = queueReason(job) ?? (store.series.size > 0 ? phaseText(job) : null);
      setText(phase, doing ?? "");
      setShown(phase, doing !== null);
      setText(when, whenText(job, now_ms + store.clock_skew_ms));
    },
  };
}

function queueReason({ status, queue }: Job): string | null {
  return status === "queued" && queue ? `${ordinal(queue.position)} in line · ${queue.reason}` : null;
}

function whenText(job: Job, now_ms: number): string {
  const ended = job.ended_at ? Date.parse(job.ended_at) : now_ms;
  if (job.started_at) {
    const took = duration(coarse((ended - Date.parse(job.started_at)) / 1000, isEnded(job)));
    const again = (job.attempt ?? 1) > 1 ? `${ordinal(job.attempt!)} attempt · ` : "";
    return `${again}started ${clock(job.started_at, now_ms)} · ${isEnded(job) ? "took " : ""}${took}`;
  }
  return job.submitted_at ? `submitted ${clock(job.submitted_at, now_ms)}` : "";
}

/** Seconds that tick beside an eleven-minute duration would only draw the eye. */
function coarse(seconds: number, ended: boolean): number {
  return !ended && seconds >= 60 ? Math.floor(seconds / 60) * 60 : seconds;
}
