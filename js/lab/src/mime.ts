// Jobs in the outputs of a notebook: live where this server knows them, with or without a kernel, else as the last picture.
// The picture is written into the notebook when it is saved, and when the job ends.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { INotebookTracker, type INotebookModel } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Widget } from "@lumino/widgets";
import {
  __,
  h,
  isEnded,
  mountJob,
  setShown,
  watchJob,
  type JobStore,
  type JobView,
  type Server,
} from "@jupyter-trainlive/core";
import { JOB_MIME, pictured, savedJob, savedPicture, withPicture, type Bundle, type SavedJob } from "./saved";
import { labServer } from "./server";

/** Before the view of a widget, which is at −10: it needs its kernel, and says so in an error where that is gone. */
const RANK = -20;

/** The views of an output, by the output: several where a cell's output is also shown in a tab of its own. */
const views = new Map<IRenderMime.IMimeModel, Set<JobOutput>>();

abstract class Output extends Widget implements IRenderMime.IRenderer {
  protected model: IRenderMime.IMimeModel | null = null;
  private mounted = new AbortController();
  private shown: string | null = null;

  /** Called again when anything about the output has changed; what is shown already stays as it is. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.adopt(model);
    const key = this.key(model.data);
    if (key !== this.shown) {
      this.shown = key;
      this.mounted.abort();
      this.mounted = new AbortController();
      this.node.replaceChildren();
      this.mount(model.data, this.mounted.signal);
    }
    return Promise.resolve();
  }

  override dispose(): void {
    this.mounted.abort();
    super.dispose();
  }

  protected adopt(model: IRenderMime.IMimeModel): void {
    this.model = model;
  }

  /** What is shown, in a word. */
  protected abstract key(data: Bundle): string;
  protected abstract mount(data: Bundle, signal: AbortSignal): void;
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

class JobOutput extends Output {
  private view: JobView | null = null;
  private store: JobStore | null = null;

  constructor(
    private readonly server: Server,
    private readonly commands: JupyterFrontEnd["commands"],
  ) {
    super();
  }

  override dispose(): void {
    this.forget();
    super.dispose();
  }

  /** Puts the picture of the curves as they are into the notebook, if it shows anything new. */
  savePicture(): void {
    const { model, view, store } = this;
    if (!model || !view || !store) return;
    const next = withPicture(model, pictured(store.job, store.points_seq), () => view.picture());
    if (next) model.setData(next as IRenderMime.IMimeModel.ISetDataOptions);
  }

  protected override adopt(model: IRenderMime.IMimeModel): void {
    if (model === this.model) return;
    this.forget();
    super.adopt(model);
    views.set(model, (views.get(model) ?? new Set()).add(this));
  }

  protected key(data: Bundle): string {
    return savedJob(data)?.job_id ?? "";
  }

  protected mount(data: Bundle, signal: AbortSignal): void {
    const { server, commands, node } = this;
    this.view = this.store = null;
    const job = savedJob(data);
    if (!job) {
      node.append(savedView(data, __("Training job"), __("This output does not say which one.")));
      return;
    }
    const { job_id, name } = job;
    const openConsole = async (): Promise<void> => void (await commands.execute("trainlive:open-console", { job_id }));
    const channel = watchJob(server, job_id, name, signal);
    const { store } = channel;
    const live = h("div");
    node.append(live);
    this.store = store;
    this.view = mountJob(live, { server, job_id, name, signal, openConsole });

    let saved: HTMLElement | null = null;
    let active = false;
    const follow = (): void => {
      const unknown = channel.live === "missing" && store.job.status == null;
      if (unknown && !saved) node.append((saved = savedView(this.model?.data ?? data, name ?? job_id, unknownText(job, server))));
      setShown(live, !unknown);
      // At the end that is seen, so that it is saved though nobody touches the notebook. A job that had ended before
      // the page was opened changes nothing in it.
      const ended = isEnded(store.job);
      if (active && ended) this.savePicture();
      active = store.job.status != null && !ended;
    };
    const undo = [channel.subscribe(follow), store.subscribe(follow)];
    signal.addEventListener("abort", () => undo.forEach((stop) => stop()), { once: true });
    follow();
  }

  private forget(): void {
    if (!this.model) return;
    const others = views.get(this.model);
    others?.delete(this);
    if (others?.size === 0) views.delete(this.model);
  }
}

function unknownText({ server_path }: SavedJob, server: Server): string {
  const here = new URL(server.key).pathname.replace(/trainlive\/$/, "");
  return server_path === "" || server_path === here
    ? __("This server does not know it any more.")
    : __("It ran on another server. This one does not know it.");
}

/** Before a notebook is written, the pictures of the jobs in it. */
function savePictures(notebook: INotebookModel | null): void {
  for (const cell of notebook?.cells ?? []) {
    const outputs = (cell as { outputs?: { length: number; get(index: number): IRenderMime.IMimeModel } }).outputs;
    for (let k = 0; outputs && k < outputs.length; k += 1) {
      const [view] = views.get(outputs.get(k)) ?? [];
      view?.savePicture();
    }
  }
}

export const outputs: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:outputs",
  description: "Shows training jobs in the outputs of notebooks, and keeps a picture of their curves there.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [INotebookTracker],
  activate(app: JupyterFrontEnd, rendermime: IRenderMimeRegistry, notebooks: INotebookTracker | null) {
    const server = labServer(app.serviceManager.serverSettings);
    // Safe, so that a notebook that is not trusted shows them too: nothing in an output is believed but a job's id, and
    // that only lets the reader see what the reader may see anyway.
    rendermime.addFactory({ safe: true, mimeTypes: [JOB_MIME], createRenderer: () => new JobOutput(server, app.commands) }, RANK);
    notebooks?.widgetAdded.connect((_, { context }) => {
      context.saveState.connect((_context, state) => {
        if (state === "started") savePictures(context.model);
      });
    });
  },
};
