// The side panel: jobs above, the machine below; it has the feed read briskly only while it can be seen.

import { __, gaugePanel, h, ServerError, setAttribute, setShown, setText, type Job } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";
import type { Feed } from "./feed";
import { JobList } from "./jobs";
import { FILTERS, type Filter } from "./summary";

export interface PanelOptions {
  open(job: Job): void;
  compare(job_ids: readonly string[]): void;
  /** Opens the form of a new fine-tune. */
  begin(): void;
}

export class TrainingPanel extends Widget {
  private readonly gauges = gaugePanel("overview");
  private readonly jobs: JobList;
  private readonly trouble = h("p", { class: "tl-trouble", role: "status" });
  private readonly machine = h("div", { class: "tl-machine" }, h("h3", {}, __("This machine")), this.gauges.element);
  private readonly select = h("button", { type: "button", class: "tl-button" }, __("Compare…"));
  private readonly compare = h("button", { type: "button", class: "tl-button" });
  private readonly done = h("button", { type: "button", class: "tl-button" }, __("Done"));
  private readonly choosing = h("div", { class: "tl-choosing" }, this.compare, this.done);
  private readonly begin = h("button", { type: "button", class: "tl-button" }, __("New fine-tune"));
  private chosen: readonly string[] = [];
  private comparable = false;
  private readonly forget: () => void;

  constructor(
    private readonly feed: Feed,
    options: PanelOptions,
  ) {
    super();
    this.jobs = new JobList({ open: options.open, chosen: (job_ids) => this.showChosen(job_ids) });
    const search = h("input", { type: "search", placeholder: __("Search jobs"), "aria-label": __("Search jobs"), class: "tl-search" });
    const state = h("select", { "aria-label": __("State"), class: "tl-filter" }, ...FILTERS.map((filter) => h("option", { value: filter }, filterText(filter))));
    const narrow = (): void => this.jobs.search(search.value, state.value as Filter);
    search.addEventListener("input", narrow);
    state.addEventListener("change", narrow);
    this.begin.addEventListener("click", () => options.begin());
    this.select.addEventListener("click", () => this.choose());
    this.done.addEventListener("click", () => this.leave());
    this.compare.addEventListener("click", () => this.chosen.length > 1 && options.compare(this.chosen));
    this.choosing.addEventListener("keydown", (event) => event.key === "Escape" && this.leave());
    this.jobs.element.addEventListener("keydown", (event) => event.key === "Escape" && !this.choosing.hidden && this.leave());
    setShown(this.trouble, false);
    setShown(this.machine, false);
    setShown(this.choosing, false);
    this.addClass("tl");
    this.addClass("tl-panel");
    // What is typed must not reach JupyterLab's single-key shortcuts; from everywhere else the others can be used.
    search.dataset.lmSuppressShortcuts = "true";
    const head = h("header", {}, h("h2", {}, __("Training")), this.begin);
    const tools = h("div", { class: "tl-tools" }, search, h("span", {}, state, this.select), this.choosing);
    this.node.append(head, tools, this.trouble, this.jobs.element, this.machine);
    this.forget = feed.subscribe(() => this.isVisible && this.draw());
  }

  /** Whether there is a form of a new fine-tune to open. */
  set canBegin(can: boolean) {
    setShown(this.begin, can);
    this.jobs.canBegin = can;
  }

  /** Whether jobs can be shown side by side. */
  set canCompare(can: boolean) {
    this.comparable = can;
    this.offerChoice();
  }

  /** The job that is in front of the user in a tab of its own, if any. */
  mark(job_id: string | null): void {
    this.jobs.mark(job_id);
  }

  /** Begins to choose jobs to compare. */
  choose(): void {
    this.jobs.choose(true);
    this.onActivateRequest();
  }

  private leave(): void {
    const inside = this.node.contains(document.activeElement);
    this.jobs.choose(false);
    if (inside) this.select.focus();
  }

  protected override onAfterShow(): void {
    this.feed.watch(this, true);
    this.draw();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) this.onAfterShow();
  }

  protected override onAfterHide(): void {
    this.feed.watch(this, false);
  }

  protected override onActivateRequest(): void {
    this.node.querySelector<HTMLElement>(this.choosing.hidden ? ".tl-search" : ".tl-job")?.focus();
  }

  override dispose(): void {
    this.feed.watch(this, false);
    this.forget();
    super.dispose();
  }

  /** There is nothing to compare with less than two jobs. */
  private offerChoice(): void {
    setShown(this.select, this.comparable && this.choosing.hidden === true && this.feed.jobs.length > 1);
  }

  private draw(): void {
    const { feed } = this;
    this.offerChoice();
    if (feed.loaded) this.jobs.show(feed.jobs, feed.system?.gpus ?? []);
    if (feed.system) this.gauges.update(feed.system, feed.history);
    setShown(this.machine, feed.system !== null);
    setText(this.trouble, feed.trouble === null ? "" : troubleText(feed.trouble));
    setShown(this.trouble, feed.trouble !== null);
  }

  private showChosen(job_ids: readonly string[] | null): void {
    this.chosen = job_ids ?? [];
    setShown(this.choosing, job_ids !== null);
    this.offerChoice();
    setText(this.compare, this.chosen.length > 1 ? __("Compare %1", this.chosen.length) : __("Choose two or more"));
    setAttribute(this.compare, "aria-disabled", this.chosen.length > 1 ? null : "true");
  }
}

function filterText(filter: Filter): string {
  switch (filter) {
    case "all":
      return __("All");
    case "running":
      return __("Running");
    case "waiting":
      return __("Waiting");
    case "paused":
      return __("Paused");
    case "completed":
      return __("Completed");
    case "failed":
      return __("Failed");
    case "cancelled":
      return __("Cancelled");
  }
}

function troubleText(error: unknown): string {
  if (!(error instanceof ServerError)) return __("The server is out of reach. Trying again.");
  if (error.status === 404) return __("This server has no jupyter_trainlive. Install it where the server runs, and restart it.");
  return error.message;
}
