// A console on the kernel that a finished job left behind.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { __, openConsole, type Job } from "@jupyter-trainlive/core";
import { showRefusal } from "../actions";
import { chooseJob } from "../choose";
import { CONSOLE } from "../commands";
import { JobTab } from "../job-tab";
import { ITrainLive } from "../trainlive";

export const consoles: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:console",
  description: "Opens a console on the kernel that is kept after a training job.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ICommandPalette],
  activate({ commands, shell }: JupyterFrontEnd, { server, feed }: ITrainLive, palette: ICommandPalette | null) {
    const kept = (): Job[] => feed.jobs.filter((job) => job.kept != null);
    /** The job of the tab in front, the only one whose kernel is kept, or one of these that the user chooses. */
    const meant = async (): Promise<Job | null> => {
      const front = shell.currentWidget;
      if (front instanceof JobTab && front.job().kept) return front.job();
      const all = kept();
      return all.length === 1 ? all[0]! : chooseJob(__("Open a console on the kernel of"), all);
    };
    const open = async (job_id: string): Promise<void> => {
      const id = await openConsole(server, job_id);
      await commands.execute("console:create", { kernelPreference: { id }, insertMode: "split-bottom" });
    };
    commands.addCommand(CONSOLE, {
      label: __("Open Console on Kept Kernel"),
      caption: __("Open a console on the kernel that a finished training job left behind"),
      isEnabled: (args) => Boolean(args.job_id) || kept().length > 0,
      async execute(args) {
        // The job's view shows by itself why there is none.
        if (args.job_id) return open(String(args.job_id));
        const job = await meant();
        if (job) await open(job.job_id).catch(showRefusal);
      },
    });
    palette?.addItem({ command: CONSOLE, category: __("Training") });
  },
};
