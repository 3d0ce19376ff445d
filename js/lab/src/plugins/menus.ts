// Where else our commands are found: in the menus, in the launcher, and on a job in the panel.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { Clipboard } from "@jupyterlab/apputils";
import { ILauncher } from "@jupyterlab/launcher";
import { IMainMenu } from "@jupyterlab/mainmenu";
import { __, type Job } from "@jupyter-trainlive/core";
import { showRefusal, wish, type Wish } from "../actions";
import { ASK, CONSOLE, COPY_ID, NEW_FINETUNE, OPEN, SHOW } from "../commands";
import { ITrainLive } from "../trainlive";

const ROW = ".tl-panel .tl-job";

export const menus: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:menus",
  description: "Adds training jobs to menus and launcher.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [IMainMenu, ILauncher],
  activate(app: JupyterFrontEnd, { server, feed }: ITrainLive, menu: IMainMenu | null, launcher: ILauncher | null) {
    const { commands, contextMenu } = app;
    menu?.viewMenu.addGroup([{ command: SHOW }], 10);
    // The form is a plugin of its own, and may be switched off.
    void app.started.then(() => {
      if (!commands.hasCommand(NEW_FINETUNE)) return;
      launcher?.add({ command: NEW_FINETUNE, category: __("Other"), rank: 1 });
      menu?.fileMenu.newMenu.addGroup([{ command: NEW_FINETUNE }], 40);
    });

    /** The job whose row the menu was opened on. */
    const pointed = (): Job | null => {
      const row = app.contextMenuHitTest((node) => node.dataset.job !== undefined);
      return feed.jobs.find((job) => job.job_id === row?.dataset.job) ?? null;
    };
    const labels: Record<Wish, string> = {
      pause: __("Hold"),
      release: __("Free GPU"),
      resume: __("Resume"),
      cancel: __("Cancel…"),
      end_kernel: __("End Kept Kernel…"),
      delete: __("Delete…"),
    };
    const allowed = ({ action }: { action?: unknown }): boolean => pointed()?.actions?.includes(action as Wish) ?? false;
    commands.addCommand(ASK, {
      label: ({ action }) => labels[action as Wish] ?? "",
      isEnabled: allowed,
      isVisible: allowed,
      async execute({ action }) {
        const job = pointed();
        if (job) await wish(server, feed, job, action as Wish);
      },
    });
    // Commands without arguments, so that they act on the job that was pointed at.
    const onRow = (command: string, title: string, shown: (job: Job) => boolean, act: (job: Job) => unknown): void => {
      const visible = (): boolean => {
        const job = pointed();
        return job !== null && shown(job);
      };
      commands.addCommand(command, { label: title, isVisible: visible, isEnabled: visible, execute: () => act(pointed()!) });
      contextMenu.addItem({ command, selector: ROW, rank: 0 });
    };
    onRow(`${OPEN}-here`, __("Open"), () => true, ({ job_id, name }) => commands.execute(OPEN, { job_id, name: name ?? "" }));
    onRow(`${CONSOLE}-here`, __("Open Console"), (job) => job.kept != null, ({ job_id }) => commands.execute(CONSOLE, { job_id }).catch(showRefusal));
    onRow(`${NEW_FINETUNE}-again`, __("Launch Again with…"), (job) => job.kind === "finetune", ({ job_id }) => commands.execute(NEW_FINETUNE, { job_id }));
    for (const action of Object.keys(labels)) contextMenu.addItem({ command: ASK, args: { action }, selector: ROW, rank: 1 });
    onRow(COPY_ID, __("Copy Job ID"), () => true, (job) => Clipboard.copyToSystem(job.job_id));
  },
};
