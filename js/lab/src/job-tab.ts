// One job in a tab of the main area: the same view as in a notebook.

import { mountJob, type Server } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";

export class JobTab extends Widget {
  private readonly closing = new AbortController();

  constructor(
    server: Server,
    readonly job_id: string,
    name: string | null,
    openConsole: () => Promise<void>,
  ) {
    super();
    this.id = `trainlive-${job_id}`;
    this.addClass("tl-tab");
    this.title.label = name || job_id;
    this.title.caption = job_id;
    this.title.closable = true;
    mountJob(this.node, { server, job_id, name, signal: this.closing.signal, openConsole });
  }

  protected override onActivateRequest(): void {
    this.node.querySelector<HTMLElement>("section.tl")?.focus({ preventScroll: true });
  }

  override dispose(): void {
    this.closing.abort();
    super.dispose();
  }
}
