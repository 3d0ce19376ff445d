// A job opens as a tab of the main area, and is there again after a reload.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, WidgetTracker } from "@jupyterlab/apputils";
import { __ } from "@jupyter-trainlive/core";
import { chooseJob } from "../choose";
import { CONSOLE, NEW_FINETUNE, OPEN } from "../commands";
import { curveIcon } from "../icons";
import { JobTab } from "../job-tab";
import { showLarge } from "../place";
import { ITrainLive } from "../trainlive";

export const jobs: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:jobs",
  description: "Shows a training job live in a tab of its own.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ICommandPalette, ILayoutRestorer],
  activate(
    { commands, shell }: JupyterFrontEnd,
    { server, feed }: ITrainLive,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
  ) {
    const tabs = new WidgetTracker<JobTab>({ namespace: "trainlive" });
    const open = (job_id: string, name: string | null): void => {
      let tab = tabs.find((candidate) => candidate.job_id === job_id);
      if (!tab) {
        tab = new JobTab(server, job_id, name, () => commands.execute(CONSOLE, { job_id }), () => void commands.execute(NEW_FINETUNE, { job_id }));
        void tabs.add(tab);
      }
      showLarge(shell, tab);
    };
    commands.addCommand(OPEN, {
      label: (args) => (args.job_id ? __("Open Training Job") : __("Open Training Job…")),
      icon: curveIcon,
      isEnabled: (args) => Boolean(args.job_id) || feed.jobs.length > 0,
      async execute(args) {
        if (args.job_id) return open(String(args.job_id), String(args.name ?? "") || null);
        const job = await chooseJob(__("Open Training Job"), feed.jobs);
        if (job) open(job.job_id, job.name ?? null);
      },
    });
    palette?.addItem({ command: OPEN, category: __("Training") });
    void restorer?.restore(tabs, {
      command: OPEN,
      args: (tab) => ({ job_id: tab.job_id, name: tab.job().name ?? "" }),
      name: (tab) => tab.job_id,
    });
  },
};
