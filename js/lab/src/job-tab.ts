// One job in a tab of the main area: the same view as in a notebook. Its title says how the job is.

import { isEnded, jobTitle, mountJob, percent, phaseText, statusWord, watchJob, type Job, type Server } from "@jupyter-trainlive/core";
import { Widget, type Title } from "@lumino/widgets";
import { markIcon } from "./icons";

export class JobTab extends Widget {
  private readonly closing = new AbortController();
  /** What is known of the job now. */
  readonly job: () => Job;

  constructor(
    server: Server,
    readonly job_id: string,
    name: string | null,
    openConsole: () => Promise<void>,
    launchAgain: () => void,
  ) {
    super();
    this.id = `trainlive-${job_id}`;
    this.addClass("tl-tab");
    this.title.closable = true;
    const { signal } = this.closing;
    // The connection is the view's own.
    const { store } = watchJob(server, job_id, name, signal);
    this.job = () => store.job;
    const entitle = (): void => entitled(this.title, store.job);
    signal.addEventListener("abort", store.subscribe(entitle), { once: true });
    entitle();
    mountJob(this.node, { server, job_id, name, signal, openConsole, launchAgain });
  }

  protected override onActivateRequest(): void {
    this.node.querySelector<HTMLElement>("section.tl")?.focus({ preventScroll: true });
  }

  override dispose(): void {
    this.closing.abort();
    super.dispose();
  }
}

/** The progress comes first: of a long name the tab shows the beginning only. */
function entitled(title: Title<Widget>, job: Job): void {
  const done = isEnded(job) || job.progress == null ? null : percent(job.progress);
  const name = jobTitle(job);
  title.label = done === null ? name : `${done} · ${name}`;
  title.icon = markIcon(job);
  const state = [job.status ? statusWord(job) : null, done, phaseText(job)].filter(Boolean).join(" · ");
  title.caption = [name, state, job.job_id].filter(Boolean).join("\n");
}
