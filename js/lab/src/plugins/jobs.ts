// A job opens as a tab of the main area, and is there again after a reload.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { WidgetTracker } from "@jupyterlab/apputils";
import { __ } from "@jupyter-trainlive/core";
import { CONSOLE, OPEN } from "../commands";
import { curveIcon } from "../icons";
import { JobTab } from "../job-tab";
import { ITrainLive } from "../trainlive";

export const jobs: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:jobs",
  description: "Shows a training job live in a tab of its own.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ILayoutRestorer],
  activate({ commands, shell }: JupyterFrontEnd, { server }: ITrainLive, restorer: ILayoutRestorer | null) {
    const tabs = new WidgetTracker<JobTab>({ namespace: "trainlive" });
    commands.addCommand(OPEN, {
      label: __("Open Training Job"),
      icon: curveIcon,
      execute(args) {
        const job_id = String(args.job_id ?? "");
        if (!job_id) return;
        let tab = tabs.find((candidate) => candidate.job_id === job_id);
        if (!tab) {
          tab = new JobTab(server, job_id, String(args.name ?? "") || null, () => commands.execute(CONSOLE, { job_id }));
          tab.title.icon = curveIcon;
          void tabs.add(tab);
        }
        if (!tab.isAttached) shell.add(tab, "main", { type: "Training" });
        shell.activateById(tab.id);
      },
    });
    void restorer?.restore(tabs, {
      command: OPEN,
      args: (tab) => ({ job_id: tab.job_id, name: tab.title.label }),
      name: (tab) => tab.job_id,
    });
  },
};
