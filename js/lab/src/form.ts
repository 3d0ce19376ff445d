// "New fine-tune" in a tab of the main area, empty or filled in as a job was launched.

import type { ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { Clipboard, WidgetTracker } from "@jupyterlab/apputils";
import type { KernelSpec, ServiceManager } from "@jupyterlab/services";
import type { LabIcon } from "@jupyterlab/ui-components";
import { __, mountForm, type Beginning, type Entries, type Job, type Kernel, type Server } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";

export const NEW = "trainlive:new-finetune";

export interface FormHost {
  app: JupyterFrontEnd;
  server: Server;
  icon: LabIcon;
  restorer: ILayoutRestorer | null;
  /** Shows a job that was started. */
  open(job: Job): void;
}

/** Adds the command; its arguments are `job_id`, a job to launch again, and `values`, which differ from that job's. */
export function addForm({ app, server, icon, restorer, open }: FormHost): void {
  const tabs = new WidgetTracker<FormTab>({ namespace: "trainlive-form" });
  app.commands.addCommand(NEW, {
    label: __("New Fine-Tune"),
    caption: __("Fill in the parameters of a fine-tune, see what it would do, and start it"),
    icon,
    async execute(args) {
      const tab = new FormTab(server, args as Beginning, app.serviceManager, open);
      tab.title.icon = icon;
      tab.typed = () => void tabs.save(tab);
      await tabs.add(tab);
      app.shell.add(tab, "main", { type: "Training" });
      app.shell.activateById(tab.id);
    },
  });
  if (restorer) void restorer.restore(tabs, { command: NEW, args: ({ entries }) => ({ entries }), name: ({ id }) => id });
}

let tabs = 0;

class FormTab extends Widget {
  private readonly closing = new AbortController();
  /** What is typed, to be restored after a reload. */
  entries: Record<string, string> = {};
  typed = (): void => {};

  constructor(server: Server, begin: Beginning, manager: ServiceManager.IManager, open: (job: Job) => void) {
    super();
    tabs += 1;
    this.id = `trainlive-form-${tabs}`;
    this.addClass("tl-tab");
    this.title.label = __("New fine-tune");
    this.title.closable = true;
    mountForm(this.node, {
      server,
      begin,
      signal: this.closing.signal,
      kernels: kernelsOf(manager.kernelspecs.specs),
      list: (folder) => listFolder(manager.contents, folder),
      copy: (text) => Clipboard.copyToSystem(text),
      started: open,
      changed: (entries: Entries) => {
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

/** Paths begin in the server's root folder, in the file browser as in a job that was given no folder of its own. */
async function listFolder(contents: ServiceManager.IManager["contents"], folder: string): Promise<string[]> {
  if (folder.startsWith("/") || folder.startsWith("~")) return [];
  const { content } = await contents.get(folder.replace(/\/$/, ""), { content: true, type: "directory" });
  const entries = content as { path: string; type: string }[];
  return entries.map(({ path, type }) => (type === "directory" ? `${path}/` : path));
}
