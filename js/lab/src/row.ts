// One job in the list: its state, its name, what matters now, and its loss in small.

import { h, isEnded, jobTitle, setAttribute, setShown, setText, statusBadge, type Gpu, type Job } from "@jupyter-trainlive/core";
import { sparkline } from "./spark";
import { summary } from "./summary";

export interface Row {
  element: HTMLElement;
  button: HTMLButtonElement;
  /** `chosen` is null while nothing is being chosen. */
  show(job: Job, gpus: readonly Gpu[], chosen: boolean | null): void;
}

/** `press` is told whether a modifier was held, which begins or goes on choosing. */
export function jobRow(job_id: string, press: (job: Job, choosing: boolean) => void): Row {
  const badge = statusBadge(false);
  const check = h("span", { class: "tl-check", "aria-hidden": "true" });
  const name = h("b");
  const line = h("span", { class: "tl-dim" });
  const spark = sparkline();
  const fill = h("i");
  const bar = h("span", { class: "tl-progress", "aria-hidden": "true" }, fill);
  const text = h("span", { class: "tl-job-text" }, name, line);
  const button = h("button", { type: "button", class: "tl-job", "data-job": job_id }, check, badge.element, text, spark.element, bar);
  let shown: Job | null = null;
  button.addEventListener("click", (event) => shown && press(shown, event.ctrlKey || event.metaKey || event.shiftKey));
  return {
    element: h("li", {}, button),
    button,
    show(job, gpus, chosen) {
      shown = job;
      const said = summary(job, gpus);
      badge.show(job);
      setText(name, job.name || job.job_id);
      setText(line, said);
      spark.show(job.spark);
      setAttribute(button, "title", `${job.name ? jobTitle(job) : ""} ${job.job_id}\n${said}`.trim());
      setAttribute(button, "aria-pressed", chosen === null ? null : String(chosen));
      setShown(check, chosen !== null);
      setShown(bar, !isEnded(job) && job.progress != null);
      fill.style.width = `${Math.min(100, Math.max(0, job.progress ?? 0))}%`;
    },
  };
}
