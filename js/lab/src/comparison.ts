// Several jobs beside each other in a tab of the main area.

import { __, _n, mountComparison, type Job, type Server } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";
import { curveIcon } from "./icons";

export class Comparison extends Widget {
  private readonly closing = new AbortController();
  /** Those that are compared now: some may have been added, and some taken away. */
  job_ids: readonly string[];

  /** Called when others are compared. */
  changed = (): void => {};

  /** `key` tells comparisons apart, also after a reload. */
  constructor(
    server: Server,
    readonly key: string,
    job_ids: readonly string[],
    openJob: (job: Job) => void,
  ) {
    super();
    this.id = `trainlive-compare-${key}`;
    this.addClass("tl-tab");
    this.title.icon = curveIcon;
    this.title.closable = true;
    this.job_ids = job_ids;
    this.entitle();
    mountComparison(this.node, {
      server,
      job_ids,
      signal: this.closing.signal,
      openJob,
      changed: (now) => {
        this.job_ids = now;
        this.entitle();
        this.changed();
      },
    });
  }

  private entitle(): void {
    this.title.label = _n("Comparison of %1 job", "Comparison of %1 jobs", this.job_ids.length);
    this.title.caption = [__("Comparison"), ...this.job_ids].join("\n");
  }

  protected override onActivateRequest(): void {
    this.node.querySelector<HTMLElement>("section.tl")?.focus({ preventScroll: true });
  }

  override dispose(): void {
    this.closing.abort();
    super.dispose();
  }
}
