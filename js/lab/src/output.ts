// An output with jobs: live where this server knows one of them, with or without a kernel, else the last picture.
// The picture is written into the notebook when it is saved, and when the jobs have ended.

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Widget } from "@lumino/widgets";
import { __, h, isEnded, keepKeys, setShown, watchJob, type Job, type Server } from "@jupyter-trainlive/core";
import { pictured, savedPicture, withJobs, withPicture, type Bundle, type Content, type SavedJob } from "./saved";

/** A live view of what an output shows. */
export interface LiveView {
  /** As a PNG's data URL; null before the first point. */
  picture(): string | null;
}

/** What is shown, of which there are two: a job, and a comparison. */
export interface Shown {
  mime: string;
  /** The jobs that an output names. */
  jobs(data: Bundle): SavedJob[];
  /** `changed` is told of other jobs than those that the output names. */
  mount(host: HTMLElement, jobs: readonly SavedJob[], signal: AbortSignal, changed: (job_ids: readonly string[]) => void): LiveView;
  title(jobs: readonly SavedJob[]): string;
  /** Said where the server knows none of them. */
  unknown(jobs: readonly SavedJob[]): string;
}

type Channel = ReturnType<typeof watchJob>;

/** The views of an output, by the output: several where a cell's output is also shown in a tab of its own. */
const views = new Map<IRenderMime.IMimeModel, Set<Output>>();

/** Puts the picture of what an output shows into its data. */
export function savePicture(model: IRenderMime.IMimeModel): void {
  const [view] = views.get(model) ?? [];
  view?.savePicture();
}

export class Output extends Widget implements IRenderMime.IRenderer {
  private model: IRenderMime.IMimeModel | null = null;
  private mounted = new AbortController();
  private watching = new AbortController();
  private channels: Channel[] = [];
  private view: LiveView | null = null;
  /** The jobs that are shown, in a word. */
  private named: string | null = null;

  constructor(
    private readonly server: Server,
    private readonly shown: Shown,
  ) {
    super();
  }

  /** Called again when anything about the output has changed; what is shown already stays as it is. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.adopt(model);
    const jobs = this.shown.jobs(model.data);
    const named = jobs.map(({ job_id }) => job_id).join();
    if (named !== this.named) {
      this.named = named;
      this.mounted.abort();
      this.mounted = new AbortController();
      this.channels = [];
      this.view = null;
      this.node.replaceChildren();
      if (jobs.length > 0) this.mount(jobs);
      else this.node.append(savedView(model.data, this.shown.title(jobs), __("This output does not say which one.")));
    }
    return Promise.resolve();
  }

  override dispose(): void {
    this.forget();
    this.mounted.abort();
    super.dispose();
  }

  /** Puts the picture of the curves as they are into the notebook, if it shows anything new. */
  savePicture(): void {
    const { model, view, channels } = this;
    // Of an ended job's curves some may be on their way; of a job that is gone only the older picture has any.
    if (!model || !view || channels.some(({ live, store }) => live === "missing" || (isEnded(store.job) && live !== "ended"))) return;
    const shows = channels.map(({ store }) => pictured(store.job, store.points_seq)).join(", ");
    this.write(withPicture(model, this.shown.mime, shows, () => view.picture()));
  }

  private adopt(model: IRenderMime.IMimeModel): void {
    if (model === this.model) return;
    this.forget();
    this.model = model;
    views.set(model, (views.get(model) ?? new Set()).add(this));
  }

  private forget(): void {
    if (!this.model) return;
    const others = views.get(this.model);
    others?.delete(this);
    if (others?.size === 0) views.delete(this.model);
  }

  private write(next: Content | null): void {
    if (next) this.model?.setData(next as IRenderMime.IMimeModel.ISetDataOptions);
  }

  private mount(jobs: readonly SavedJob[]): void {
    const { signal } = this.mounted;
    const { shown, node } = this;
    const live = h("div");
    keepKeys(node, signal);
    let saved: HTMLElement | null = null;
    let active = false;
    const follow = (): void => {
      const all = this.channels.map(({ store }): Job => store.job);
      const unknown = this.channels.every((channel) => channel.live === "missing" && channel.store.job.status == null);
      if (unknown && !saved) node.append((saved = savedView(this.model?.data ?? {}, shown.title(jobs), shown.unknown(jobs))));
      if (saved) setShown(saved, unknown);
      setShown(live, !unknown);
      // At the end that is seen, so that it is saved though nobody touches the notebook. Jobs that had ended before the
      // page was opened change nothing in it.
      const ended = this.channels.every(({ live: state }) => state === "ended" || state === "missing");
      if (active && ended) this.savePicture();
      active = !ended && (active || all.some((job) => job.status != null && !isEnded(job)));
    };
    const watch = (job_ids: readonly string[]): void => {
      const names = new Map(jobs.map((job) => [job.job_id, job.name]));
      this.watching.abort();
      this.watching = new AbortController();
      const until = AbortSignal.any([signal, this.watching.signal]);
      this.channels = job_ids.map((job_id) => watchJob(this.server, job_id, names.get(job_id) ?? null, until));
      const undo = this.channels.flatMap((channel) => [channel.subscribe(follow), channel.store.subscribe(follow)]);
      until.addEventListener("abort", () => undo.forEach((stop) => stop()), { once: true });
    };
    watch(jobs.map(({ job_id }) => job_id));
    node.append(live);
    this.view = shown.mount(live, jobs, signal, (job_ids) => {
      if (job_ids.length === 0) return;
      watch(job_ids);
      this.named = job_ids.join();
      if (this.model) this.write(withJobs(this.model, this.channels.map(({ store }) => store.job)));
    });
    follow();
  }
}

/** In place of a live view: the picture that was saved, and one line about it. */
function savedView(data: Bundle, name: string, line: string): HTMLElement {
  const picture = savedPicture(data);
  const caption = h("figcaption", {}, h("b", {}, name), h("span", { class: "tl-dim" }, line));
  const figure = h("figure", { class: "tl-card tl-saved" }, caption);
  if (picture !== null) {
    const image = h("img", { src: picture, alt: __("Curves of %1", name) });
    image.addEventListener("error", () => image.remove());
    figure.append(image);
  }
  return h("section", { class: "tl", "data-live": "missing" }, figure);
}
