// The side panel: jobs above, the machine below, both asked for only while the panel can be seen.

import {
  gaugePanel,
  getSystem,
  h,
  keepReading,
  listJobs,
  reviveWatched,
  ServerError,
  setShown,
  setText,
  type Job,
  type Server,
  type System,
} from "@jupyter-trainlive/core";
import { Poll } from "@lumino/polling";
import { Widget } from "@lumino/widgets";
import { JobList } from "./jobs";

const INTERVAL_MS = 3_000;
const LONGEST_MS = 30_000;

export class TrainingPanel extends Widget {
  private readonly history: System[] = [];
  private readonly gauges = gaugePanel("overview");
  private readonly jobs: JobList;
  private readonly trouble = h("p", { class: "tl-trouble", role: "status" });
  private readonly machine = h("div", { class: "tl-machine" }, h("h3", {}, "This machine"), this.gauges.element);
  private readonly poll: Poll;

  constructor(
    private readonly server: Server,
    open: (job: Job) => void,
  ) {
    super();
    this.jobs = new JobList(open);
    const search = h("input", { type: "search", placeholder: "Search jobs", "aria-label": "Search jobs", class: "tl-search" });
    search.addEventListener("input", () => this.jobs.search(search.value));
    setShown(this.trouble, false);
    setShown(this.machine, false);
    this.addClass("tl");
    this.addClass("tl-panel");
    // Typing into the search box must not reach JupyterLab's single-key shortcuts.
    this.node.dataset.lmSuppressShortcuts = "true";
    this.node.append(h("h2", {}, "Training"), search, this.trouble, this.jobs.element, this.machine);
    this.poll = new Poll({
      auto: false,
      factory: () => this.refresh(),
      frequency: { interval: INTERVAL_MS, backoff: true, max: LONGEST_MS },
      standby: () => !this.isVisible || document.hidden,
    });
  }

  protected override onAfterShow(): void {
    void this.poll.start();
    void this.poll.refresh();
  }

  override dispose(): void {
    this.poll.dispose();
    super.dispose();
  }

  private async refresh(): Promise<void> {
    try {
      const [jobs, system] = await Promise.all([listJobs(this.server), getSystem(this.server).catch(unread)]);
      this.jobs.show(jobs, system?.gpus ?? []);
      reviveWatched(this.server, jobs);
      if (system) keepReading(this.history, system);
      if (system) this.gauges.update(system, this.history);
      setShown(this.machine, system !== null);
      setShown(this.trouble, false);
    } catch (error) {
      setText(this.trouble, trouble(error));
      setShown(this.trouble, true);
      // Rejecting tells the poll to slow down.
      throw error;
    }
  }
}

/** A machine whose gauges cannot be read still has jobs to show. */
function unread(error: unknown): null {
  if (error instanceof ServerError) return null;
  throw error;
}

function trouble(error: unknown): string {
  if (!(error instanceof ServerError)) return "The server is out of reach. Trying again.";
  if (error.status === 404) return "This server has no jupyter_trainlive. Install it where the server runs, and restart it.";
  return error.message;
}
