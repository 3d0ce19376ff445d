// The progress bar and the row of facts under it.

import { __ } from "../i18n";
import { secondsLeft, settle, type Eta } from "../data/eta";
import { clock, count, duration, epochs, metric, ordinal, percent, rate } from "../data/format";
import type { JobStore } from "../data/store";
import { isEnded, type Job } from "../wire/protocol";
import { h, setAttribute, setShown, setText } from "./dom";
import type { Part } from "./header";
import { phaseText } from "./status";

export function progressBar(store: JobStore): Part {
  const fill = h("i");
  const element = h("div", { class: "tl-progress", role: "progressbar", "aria-label": __("Progress"), "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
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

/** One fact: words around the number that counts, which is bold. Hidden while unknown. */
function fact(): { element: HTMLElement; show(words: string | null, number?: string, widest?: string): void } {
  const before = h("span");
  const bold = h("b");
  const after = h("span");
  const element = h("span", { class: "tl-fact" }, before, bold, after);
  let room = 0;
  return {
    element,
    show(words, number = "", widest = number) {
      setShown(element, words !== null);
      if (words === null) return;
      // A translation may put the number anywhere.
      const [front = "", back = ""] = words.split("\u0000");
      setText(before, front);
      setText(bold, number);
      setText(after, back);
      // As much room as it ever needed, or will: what stands behind it keeps its place.
      const needed = Math.max(room, roomFor(number), roomFor(widest));
      if (needed !== room) bold.style.minWidth = `${(room = needed)}ch`;
    },
  };
}

/** In the width of a digit; points, commas and spaces have half of that. */
const roomFor = (text: string): number => [...text].reduce((sum, letter) => sum + (/[., \u00a0]/.test(letter) ? 0.5 : 1), 0);

/** Stands for the number in words that are translated as a whole. */
const NUMBER = "\u0000";

const total = (value: string | null): string => (value === null ? "" : ` / ${value}`);

export function facts(store: JobStore): Part {
  const done = fact();
  const step = fact();
  const epoch = fact();
  const speed = fact();
  const left = fact();
  // The last of them: nothing stands behind it that could move.
  left.element.classList.add("tl-left");
  const loss = fact();
  const phase = h("span", { class: "tl-dim" });
  const when = h("span", { class: "tl-dim tl-when" });
  const row = [done, step, epoch, loss, speed, left].map(({ element }) => element);
  const element = h("div", { class: "tl-facts" }, ...row, phase, when);
  let eta: Eta | null = null;
  return {
    element,
    update(now_ms) {
      const { job } = store;
      const ended = isEnded(job);
      const moving = job.status === "running";
      const { progress, current_step, total_steps, current_epoch, total_epochs, samples_per_second } = job;
      done.show(progress == null ? null : NUMBER, percent(progress));
      step.show(current_step == null ? null : __("step %1", NUMBER) + total(total_steps == null ? null : count(total_steps)), count(current_step), ended ? "" : count(total_steps ?? current_step));
      epoch.show(current_epoch == null ? null : __("epoch %1", NUMBER) + total(total_epochs == null ? null : epochs(total_epochs)), epochs(current_epoch ?? 0), ended ? "" : "0.0");
      loss.show(ended && job.final_loss != null ? __("final loss %1", NUMBER) : null, metric(job.final_loss));
      speed.show(samples_per_second == null || ended || job.status === "paused" ? null : __("%1 samples/s", NUMBER), rate(samples_per_second ?? 0));
      eta = settle(eta, moving ? (job.eta_seconds ?? null) : null, `${job.attempt} ${current_step} ${job.eta_seconds}`, now_ms);
      const seconds = eta && secondsLeft(eta, now_ms);
      left.show(seconds === null ? null : __("ETA %1", NUMBER), duration(seconds ?? 0));
      // Before the first point the empty chart says it, in the middle of the view.
      const doing = queueReason(job) ?? (store.series.size > 0 ? phaseText(job) : null);
      setText(phase, doing ?? "");
      setShown(phase, doing !== null);
      setText(when, whenText(job, now_ms + store.clock_skew_ms));
    },
  };
}

function queueReason(job: Job): string | null {
  return job.status === "queued" && job.queue ? `${__("%1 in line", ordinal(job.queue.position))} · ${job.queue.reason}` : null;
}

function whenText(job: Job, now_ms: number): string {
  const ended = job.ended_at ? Date.parse(job.ended_at) : now_ms;
  if (job.started_at) {
    const took = duration(coarse((ended - Date.parse(job.started_at)) / 1000, isEnded(job)));
    const again = (job.attempt ?? 1) > 1 ? `${__("%1 attempt", ordinal(job.attempt!))} · ` : "";
    return `${again}${__("started %1", clock(job.started_at, now_ms))} · ${isEnded(job) ? __("took %1", took) : took}`;
  }
  return job.submitted_at ? __("submitted %1", clock(job.submitted_at, now_ms)) : "";
}

/** Seconds that tick beside an eleven-minute duration would only draw the eye. */
function coarse(seconds: number, ended: boolean): number {
  return !ended && seconds >= 60 ? Math.floor(seconds / 60) * 60 : seconds;
}
