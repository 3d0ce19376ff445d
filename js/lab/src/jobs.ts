// The list of jobs: what runs first, what ended below, narrowed by what is typed and chosen. Rows stay, their text changes.

import { __, h, isEnded, setAttribute, setShown, setText, type Gpu, type Job } from "@jupyter-trainlive/core";
import { jobRow, type Row } from "./row";
import { inOrder, matches, type Filter } from "./summary";

/** As many as a comparison shows. */
export const MOST_CHOSEN = 10;
const SHOWN = 50;
const MORE = 200;

export interface JobListOptions {
  open(job: Job): void;
  /** The jobs that are chosen for a comparison have changed; null: none is being chosen. */
  chosen(job_ids: readonly string[] | null): void;
}

export class JobList {
  private readonly active = h("ul", { "aria-label": __("Active") });
  private readonly finished = h("ul", { "aria-label": __("Finished") });
  private readonly activeTitle = h("h3", {}, __("Active"));
  private readonly finishedTitle = h("h3", {}, __("Finished"));
  private readonly note = h("p", { class: "tl-dim tl-none" });
  private readonly more = h("button", { type: "button", class: "tl-button tl-more" }, __("Show more"));
  private readonly rows = new Map<string, Row>();
  private jobs: readonly Job[] = [];
  private gpus: readonly Gpu[] = [];
  private text = "";
  private filter: Filter = "all";
  private most = SHOWN;
  private choice: Set<string> | null = null;
  private current: string | null = null;
  /** Whether there is a form of a new fine-tune. */
  canBegin = false;
  readonly element = h(
    "div",
    { class: "tl-jobs" },
    this.note,
    this.activeTitle,
    this.active,
    this.finishedTitle,
    this.finished,
    this.more,
  );

  constructor(private readonly options: JobListOptions) {
    this.more.addEventListener("click", () => {
      const next = this.most;
      this.most += MORE;
      this.update();
      this.finished.querySelectorAll<HTMLElement>(".tl-job")[next]?.focus();
    });
    this.element.addEventListener("keydown", (event) => this.move(event));
  }

  show(jobs: readonly Job[], gpus: readonly Gpu[]): void {
    this.jobs = jobs;
    this.gpus = gpus;
    this.update();
  }

  search(text: string, filter: Filter): void {
    this.text = text;
    this.filter = filter;
    this.most = SHOWN;
    this.update();
  }

  /** Marks the job that is in front of the user; null for none. */
  mark(job_id: string | null): void {
    this.current = job_id;
    this.update();
  }

  /** Begins or ends choosing jobs to compare. */
  choose(choosing: boolean): void {
    this.choice = choosing ? new Set() : null;
    this.changed();
  }

  private press(job: Job, choosing: boolean): void {
    if (this.choice === null && !choosing) {
      this.options.open(job);
      return;
    }
    this.choice ??= new Set();
    if (!this.choice.delete(job.job_id) && this.choice.size < MOST_CHOSEN) this.choice.add(job.job_id);
    this.changed();
  }

  private changed(): void {
    this.options.chosen(this.choice && [...this.choice]);
    this.update();
  }

  private update(): void {
    const found = this.jobs.filter((job) => matches(job, this.text, this.filter));
    const active = inOrder(found.filter((job) => !isEnded(job)));
    const ended = found.filter(isEnded);
    this.fill(this.active, active);
    this.fill(this.finished, ended.slice(0, this.most));
    setShown(this.activeTitle, active.length > 0);
    setShown(this.finishedTitle, ended.length > 0);
    setShown(this.more, ended.length > this.most);
    const known = new Set(this.jobs.map((job) => job.job_id));
    for (const job_id of this.rows.keys()) if (!known.has(job_id)) this.rows.delete(job_id);
    setShown(this.note, found.length === 0);
    if (this.jobs.length > 0) setText(this.note, __("No job matches."));
    else this.note.replaceChildren(this.canBegin ? __("No training yet. Start one with “New fine-tune”, or from a cell:") : __("No training yet. Start one from a cell:"), h("code", {}, 'trainlive.finetune("model", "data.jsonl")'));
  }

  /** Puts the rows in order, moving only what is out of place: a moved row would lose the keyboard's focus. */
  private fill(list: HTMLElement, jobs: readonly Job[]): void {
    const wanted = jobs.map((job) => {
      let row = this.rows.get(job.job_id);
      if (!row) this.rows.set(job.job_id, (row = jobRow(job.job_id, (pressed, choosing) => this.press(pressed, choosing))));
      row.show(job, this.gpus, this.choice && this.choice.has(job.job_id));
      setAttribute(row.button, "aria-current", job.job_id === this.current ? "true" : null);
      return row.element;
    });
    const kept = new Set<Element>(wanted);
    for (const child of [...list.children]) if (!kept.has(child)) child.remove();
    wanted.forEach((element, k) => {
      if (list.children[k] !== element) list.insertBefore(element, list.children[k] ?? null);
    });
  }

  /** The arrow keys go from row to row, over both lists. */
  private move(event: KeyboardEvent): void {
    const buttons = [...this.element.querySelectorAll<HTMLElement>(".tl-job")];
    const at = buttons.indexOf(event.target as HTMLElement);
    if (at < 0) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    const next = to === undefined ? undefined : buttons[to];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
