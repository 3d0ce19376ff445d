// The list of jobs: what runs first, what ended below, filtered by what is typed. Rows stay, their text changes.

import {
  duration,
  h,
  isEnded,
  isReleased,
  metric,
  percent,
  phaseText,
  setAttribute,
  setShown,
  setText,
  statusBadge,
  type Gpu,
  type Job,
} from "@jupyter-trainlive/core";

interface Row {
  element: HTMLElement;
  show(job: Job, gpus: readonly Gpu[]): void;
}

/** One line of what matters most about a job now; `gpus` are the machine's. */
export function summary(job: Job, gpus: readonly Gpu[]): string {
  const words: (string | null)[] = [];
  if (isEnded(job)) {
    if (job.status === "completed") words.push(job.final_loss == null ? null : metric(job.final_loss));
    else words.push(job.error || job.status || null);
    if (job.status === "completed" && job.started_at && job.ended_at) {
      words.push(duration((Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000));
    }
  } else {
    const standing = job.status === "paused" || job.status === "queued";
    words.push(standing || job.progress == null ? null : percent(job.progress));
    words.push(phaseText(job) ?? (job.eta_seconds == null ? null : duration(job.eta_seconds)));
    if (!isReleased(job)) words.push(...gpus.filter(({ uuid }) => uuid && job.gpus?.includes(uuid)).map(({ index }) => `GPU ${index}`));
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
    show(job, gpus) {
      shown = job;
      const said = summary(job, gpus);
      badge.show(job);
      setText(name, job.name || job.job_id);
      setText(line, said);
      setAttribute(button, "title", `${job.name ?? ""} ${job.job_id}\n${said}`.trim());
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
  private gpus: readonly Gpu[] = [];
  private filter = "";
  readonly element = h("div", { class: "tl-jobs" }, this.note, this.activeTitle, this.active, this.finishedTitle, this.finished);

  constructor(private readonly open: (job: Job) => void) {}

  show(jobs: readonly Job[], gpus: readonly Gpu[]): void {
    this.jobs = jobs;
    this.gpus = gpus;
    this.update();
  }

  search(text: string): void {
    this.filter = text.trim().toLowerCase();
    this.update();
  }

  private update(): void {
    const found = this.jobs.filter((job) => `${job.name ?? ""} ${job.job_id} ${job.status ?? ""}`.toLowerCase().includes(this.filter));
    // The queue comes last and in its own order; else the newest comes first, as the server lists them.
    const place = (job: Job): number => (job.status === "queued" ? (job.queue?.position ?? Number.MAX_SAFE_INTEGER) : 0);
    const active = found.filter((job) => !isEnded(job)).sort((a, b) => place(a) - place(b));
    const ended = found.filter(isEnded);
    this.fill(this.active, active);
    this.fill(this.finished, ended);
    setShown(this.activeTitle, active.length > 0);
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
      row.show(job, this.gpus);
      return row.element;
    });
    for (const child of [...list.children]) if (!wanted.includes(child as HTMLLIElement)) child.remove();
    wanted.forEach((element, k) => {
      if (list.children[k] !== element) list.insertBefore(element, list.children[k] ?? null);
    });
  }
}
