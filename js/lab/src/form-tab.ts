// The form of a new fine-tune in a tab: it knows the server's kernels and files, and keeps what is typed.

import { Clipboard } from "@jupyterlab/apputils";
import type { Contents, KernelSpec, ServiceManager } from "@jupyterlab/services";
import { __, mountForm, type Beginning, type Job, type Kernel, type Server } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";
import { curveIcon } from "./icons";

let made = 0;

export class FormTab extends Widget {
  private readonly closing = new AbortController();
  /** What is typed, by field. */
  entries: Record<string, string> = {};
  /** Called when that has changed. */
  typed = (): void => {};

  constructor(server: Server, begin: Beginning, { kernelspecs, contents }: ServiceManager.IManager, started: (job: Job) => void) {
    super();
    made += 1;
    this.id = `trainlive-form-${made}`;
    this.addClass("tl-tab");
    this.title.label = __("New fine-tune");
    this.title.icon = curveIcon;
    this.title.closable = true;
    mountForm(this.node, {
      server,
      begin,
      signal: this.closing.signal,
      kernels: kernelspecs.ready.then(() => kernelsOf(kernelspecs.specs)),
      list: (folder) => listFolder(contents, folder),
      copy: (text) => Clipboard.copyToSystem(text),
      started,
      changed: (entries) => {
        this.entries = { ...entries };
        this.typed();
      },
    });
  }

  protected override onActivateRequest(): void {
    this.node.querySelector<HTMLElement>("section.tl")?.focus({ preventScroll: true });
  }

  override dispose(): void {
    this.closing.abort();
    super.dispose();
  }
}

function kernelsOf(specs: KernelSpec.ISpecModels | null): Kernel[] {
  const known = Object.values(specs?.kernelspecs ?? {}).flatMap((spec) => spec ?? []);
  return known.map(({ name, display_name }) => ({ name, title: display_name, usual: name === specs?.default }));
}

/** Paths begin in the server's root folder, for the file browser as for a job that was given no folder of its own. */
async function listFolder(contents: Contents.IManager, folder: string): Promise<string[]> {
  if (folder.startsWith("/") || folder.startsWith("~")) return [];
  const { content } = await contents.get(folder.replace(/\/$/, ""), { type: "directory", content: true });
  const entries = content as Contents.IModel[];
  return entries.map(({ path, type }) => (type === "directory" ? `${path}/` : path));
}
