// The JupyterLab extension: a side panel with the jobs, a tab for each, and a command to show them.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, WidgetTracker } from "@jupyterlab/apputils";
import { LabIcon } from "@jupyterlab/ui-components";
import { openConsole, type Job } from "@jupyter-trainlive/core";
import { outputs } from "./mime";
import { TrainingPanel } from "./panel";
import { labServer } from "./server";
import { JobTab } from "./tab";

const SHOW = "trainlive:show-jobs";
const OPEN = "trainlive:open-job";
const CONSOLE = "trainlive:open-console";

const icon = new LabIcon({
  name: "trainlive:curve",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="none" stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="M4 4v16h16M8 6c1.5 7 5 9.500 11 10"/></svg>',
});

const plugin: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:plugin",
  description: "Lists training jobs and shows them live.",
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer],
  activate(app: JupyterFrontEnd, palette: ICommandPalette | null, restorer: ILayoutRestorer | null) {
    const server = labServer(app.serviceManager.serverSettings);
    const tabs = new WidgetTracker<JobTab>({ namespace: "trainlive" });

    const panel = new TrainingPanel(server, (job: Job) => void app.commands.execute(OPEN, { job_id: job.job_id, name: job.name ?? "" }));
    panel.id = "trainlive-panel";
    panel.title.icon = icon;
    panel.title.caption = "Training";
    app.shell.add(panel, "left", { rank: 650, type: "Training" });

    app.commands.addCommand(SHOW, {
      label: "Show Training Jobs",
      caption: "Show the panel with all training jobs",
      icon,
      execute: () => app.shell.activateById(panel.id),
    });
    app.commands.addCommand(OPEN, {
      label: "Open Training Job",
      icon,
      execute(args) {
        const job_id = String(args.job_id ?? "");
        if (!job_id) return;
        let tab = tabs.find((candidate) => candidate.job_id === job_id);
        if (!tab) {
          tab = new JobTab(server, job_id, String(args.name ?? "") || null, () => app.commands.execute(CONSOLE, { job_id }));
          tab.title.icon = icon;
          void tabs.add(tab);
        }
        if (!tab.isAttached) app.shell.add(tab, "main", { type: "Training" });
        app.shell.activateById(tab.id);
      },
    });
    app.commands.addCommand(CONSOLE, {
      label: "Open Console on Kept Kernel",
      caption: "Open a console on the kernel that a finished training job left behind",
      async execute(args) {
        const id = await openConsole(server, String(args.job_id ?? ""));
        await app.commands.execute("console:create", { kernelPreference: { id }, insertMode: "split-bottom" });
      },
    });
    palette?.addItem({ command: SHOW, category: "Training" });
    if (restorer) {
      restorer.add(panel, panel.id);
      void restorer.restore(tabs, {
        command: OPEN,
        args: (tab) => ({ job_id: tab.job_id, name: tab.title.label }),
        name: (tab) => tab.job_id,
      });
    }
  },
};

export default [plugin, outputs];
