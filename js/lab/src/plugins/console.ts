// A console on the kernel that a finished job left behind.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { __, openConsole } from "@jupyter-trainlive/core";
import { CONSOLE } from "../commands";
import { ITrainLive } from "../trainlive";

export const consoles: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:console",
  description: "Opens a console on the kernel that is kept after a training job.",
  autoStart: true,
  requires: [ITrainLive],
  activate({ commands }: JupyterFrontEnd, { server }: ITrainLive) {
    commands.addCommand(CONSOLE, {
      label: __("Open Console on Kept Kernel"),
      caption: __("Open a console on the kernel that a finished training job left behind"),
      async execute(args) {
        const id = await openConsole(server, String(args.job_id ?? ""));
        await commands.execute("console:create", { kernelPreference: { id }, insertMode: "split-bottom" });
      },
    });
  },
};
