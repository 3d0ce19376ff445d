// The list of jobs: what runs first, what ended below, filtered by what is typed. Rows stay, their text changes.

import {
  count,
  duration,
  h,
  isEnded,
  metric,
  percent,
  phaseText,
  setAttribute,
  setShown,
  setText,
  statusBadge,
  type Job,
} from "@jupyter-trainlive/core";

interface Row {
  element: HTMLElement;
  show(job: Job): void;
}

/** One line of what matters most about a job now. */
export function summary(job: Job): string {
  const words: (string | null)[] = [];
  if (isEnded(job)) {
    if (job.status === "completed") words.push(job.final_loss == null ? null : metric(job.final_loss));
    else words.push(job.error || job.status || null);
    if (job.status === "completed" && job.started_at && job.ended_at) {
      words.push(duration((Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000));
    }
  } else if (job.status === "paused") {
    words.push(job.current_step == null ? "paused" : `paused at ${count(job.current_step)}`);
  } else {
    words.push(job.progress == null ? null : percent(job.progress));
    words.push(phaseText(job) ?? (job.eta_seconds == null ? null : duration(job.eta_seconds)));
  }
  return words.filter(Boolean).join(" · ") || job.status || "";
}

function jobRow(open: (job: Job) => void): Row {
  const badge = statusBadge(false);
  const name = h("b");
  const line = h("span", { class: "tl-dim" });
  const fill = h("i");
  const bar = h("span", { class: "tl-progress", "aria-hidden": "true" }, fill);
  const button = h("button", { type: "button", class: "tl-job" }, badge.element, h("span", { class: "tl-job-text" }, name, line), bar);
  let shown: Job | null = null;
  button.addEventListener("click", () => shown && open(shown));
  return {
    element: h("li", {}, button),
    show(job) {
      shown = job;
      badge.show(job);
      setText(name, job.name || job.job_id);
      setText(line, summary(job));
      setAttribute(button, "title", `${job.name ?? ""} ${job.job_id}\n${summary(job)}`.trim());
      setShown(bar, !isEnded(job) && job.progress != null);
      fill.style.width = `${Math.min(100, Math.max(0, job.progress ?? 0))}%`;
    },
  };
}

export class JobList {
  private readonly active = h("ul");
  private readonly finished = h("ul");
  private readonly activeTitle = h("h3", {}, "Active");
  private readonly finishedTitle = h("h3", {}, "Finished");
  private readonly note = h("p", { class: "tl-dim tl-none" });
  private readonly rows = new Map<string, Row>();
  private jobs: readonly Job[] = [];
  private filter = "";
  readonly element = h("div", { class: "tl-jobs" }, this.note, this.activeTitle, this.active, this.finishedTitle, this.finished);

  constructor(private readonly open: (job: Job) => void) {}

  show(jobs: readonly Job[]): void {
    this.jobs = jobs;
    this.update();
  }

  search(text: string): void {
    this.filter = text.trim().toLowerCase();
    this.update();
  }

  private update(): void {
    const found = this.jobs.filter((job) => `${job.name ?? ""} ${job.job_id} ${job.status ?? ""}`.toLowerCase().includes(this.filter));
    const running = found.filter((job) => !isEnded(job));
    const ended = found.filter(isEnded);
    this.fill(this.active, running);
    this.fill(this.finished, ended);
    setShown(this.activeTitle, running.length > 0);
    setShown(this.finishedTitle, ended.length > 0);
    const known = new Set(this.jobs.map((job) => job.job_id));
    for (const job_id of this.rows.keys()) if (!known.has(job_id)) this.rows.delete(job_id);
    setShown(this.note, found.length === 0);
    if (this.jobs.length > 0) setText(this.note, "No job matches.");
    else this.note.replaceChildren("No training yet. Start one from a cell:", h("code", {}, 'trainlive.finetune("model", "data.jsonl")'));
  }

  /** Puts the rows in order, moving only what is out of place: a moved row would lose the keyboard's focus. */
  private fill(list: HTMLElement, jobs: readonly Job[]): void {
    const wanted = jobs.map((job) => {
      let row = this.rows.get(job.job_id);
      if (!row) this.rows.set(job.job_id, (row = jobRow(this.open)));
      row.show(job);
      return row.element;
    });
    for (const child of [...list.children]) if (!wanted.includes(child as HTMLLIElement)) child.remove();
    wanted.forEach((element, k) => {
      if (list.children[k] !== element) list.insertBefore(element, list.children[k] ?? null);
    });
  }
}
