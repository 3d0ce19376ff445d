// The side panel with all jobs and the machine, and the command that shows it.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { __, type Job } from "@jupyter-trainlive/core";
import { OPEN, SHOW } from "../commands";
import { curveIcon } from "../icons";
import { TrainingPanel } from "../panel";
import { ITrainLive } from "../trainlive";

export const panel: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:panel",
  description: "Lists all training jobs at the side.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ICommandPalette, ILayoutRestorer],
  activate(
    { commands, shell }: JupyterFrontEnd,
    { server }: ITrainLive,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
  ) {
    const side = new TrainingPanel(server, (job: Job) => void commands.execute(OPEN, { job_id: job.job_id, name: job.name ?? "" }));
    side.id = "trainlive-panel";
    side.title.icon = curveIcon;
    side.title.caption = __("Training");
    shell.add(side, "left", { rank: 650, type: "Training" });
    commands.addCommand(SHOW, {
      label: __("Show Training Jobs"),
      caption: __("Show the panel with all training jobs"),
      icon: curveIcon,
      execute: () => shell.activateById(side.id),
    });
    palette?.addItem({ command: SHOW, category: __("Training") });
    restorer?.add(side, side.id);
  },
};
