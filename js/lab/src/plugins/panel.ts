// The side panel with all jobs and the machine, and the commands that show it.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { __ } from "@jupyter-trainlive/core";
import { CHOOSE, COMPARE, NEW_FINETUNE, OPEN, SHOW } from "../commands";
import { curveIcon } from "../icons";
import { JobTab } from "../job-tab";
import { TrainingPanel } from "../panel";
import { tabsOf } from "../place";
import { ITrainLive } from "../trainlive";

export const panel: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:panel",
  description: "Lists all training jobs at the side.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ICommandPalette, ILayoutRestorer],
  activate(
    { commands, restored, shell }: JupyterFrontEnd,
    { feed }: ITrainLive,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
  ) {
    const side = new TrainingPanel(feed, {
      open: (job) => void commands.execute(OPEN, { job_id: job.job_id, name: job.name ?? "" }),
      compare: (job_ids) => void commands.execute(COMPARE, { job_ids: [...job_ids] }),
      begin: () => void commands.execute(NEW_FINETUNE),
    });
    side.id = "trainlive-panel";
    side.title.caption = __("Training");
    side.title.icon = curveIcon;
    side.canBegin = commands.hasCommand(NEW_FINETUNE);
    commands.commandChanged.connect(() => (side.canBegin = commands.hasCommand(NEW_FINETUNE)));
    const mark = (): void => side.mark(shell.currentWidget instanceof JobTab ? shell.currentWidget.job_id : null);
    shell.currentChanged?.connect(mark);
    if (restorer) {
      shell.add(side, "left", { rank: 650, type: "Training" });
      restorer.add(side, side.id);
    } else {
      // Notebook's page of files has no sides, but tabs. They are there once the page stands.
      void restored.then(() => {
        const tabs = tabsOf(shell);
        side.title.label = __("Training");
        if (tabs) tabs.addWidget(side);
        else shell.add(side, "left", { rank: 650 });
      });
    }

    const show = (): void => {
      const tabs = tabsOf(shell);
      if (tabs?.contains(side)) tabs.currentWidget = side;
      else shell.activateById(side.id);
    };
    commands.addCommand(SHOW, {
      label: __("Show Training Jobs"),
      caption: __("Show the panel with all training jobs"),
      icon: curveIcon,
      execute: show,
    });
    commands.addCommand(CHOOSE, {
      label: __("Compare Training Jobs…"),
      isEnabled: () => feed.jobs.length > 1,
      execute() {
        show();
        side.choose();
      },
    });
    for (const command of [SHOW, CHOOSE]) palette?.addItem({ command, category: __("Training") });
  },
};
