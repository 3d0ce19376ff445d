// Jobs and comparisons in the outputs of a notebook, and their pictures before it is written.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { INotebookTracker, type INotebookModel } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { __, mountComparison, mountJob, type Server } from "@jupyter-trainlive/core";
import { CONSOLE, NEW_FINETUNE, OPEN } from "./commands";
import { Output, savePicture, type Shown } from "./output";
import { COMPARISON_MIME, JOB_MIME, savedComparison, savedJob, type SavedJob } from "./saved";
import { labServer } from "./server";

/** Before the view of a widget, which is at −10: it needs its kernel, and says so in an error where that is gone. */
const RANK = -20;

function job(server: Server, commands: JupyterFrontEnd["commands"]): Shown {
  return {
    mime: JOB_MIME,
    jobs: (data) => [savedJob(data)].flatMap((saved) => saved ?? []),
    mount(host, jobs, signal) {
      const { job_id, name } = jobs[0]!;
      // The plugins of these two may be switched off.
      const openConsole = async (): Promise<void> => void (await commands.execute(CONSOLE, { job_id }));
      const launchAgain = (): void => void commands.execute(NEW_FINETUNE, { job_id });
      return mountJob(host, {
        server,
        job_id,
        name,
        signal,
        ...(commands.hasCommand(CONSOLE) ? { openConsole } : {}),
        ...(commands.hasCommand(NEW_FINETUNE) ? { launchAgain } : {}),
      });
    },
    title: ([saved]) => saved?.name ?? saved?.job_id ?? __("Training job"),
    unknown: ([saved]) => unknownText(saved!, server),
  };
}

function comparison(server: Server, commands: JupyterFrontEnd["commands"]): Shown {
  return {
    mime: COMPARISON_MIME,
    jobs: savedComparison,
    mount(host, jobs, signal, changed) {
      return mountComparison(host, {
        server,
        job_ids: jobs.map(({ job_id }) => job_id),
        signal,
        changed,
        ...(commands.hasCommand(OPEN) ? { openJob: ({ job_id, name }) => void commands.execute(OPEN, { job_id, name: name ?? "" }) } : {}),
      });
    },
    title: () => __("Comparison"),
    unknown: () => __("This server does not know its jobs any more."),
  };
}

function unknownText({ server_path }: SavedJob, server: Server): string {
  const here = new URL(server.key).pathname.replace(/trainlive\/$/, "");
  return server_path === "" || server_path === here
    ? __("This server does not know it any more.")
    : __("It ran on another server. This one does not know it.");
}

/** Before a notebook is written, the pictures of the jobs in it. */
function savePictures(notebook: INotebookModel | null): void {
  for (const cell of notebook?.cells ?? []) {
    const outputs = (cell as { outputs?: { length: number; get(index: number): IRenderMime.IMimeModel } }).outputs;
    for (let k = 0; outputs && k < outputs.length; k += 1) savePicture(outputs.get(k));
  }
}

export const outputs: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:outputs",
  description: "Shows training jobs in the outputs of notebooks, and keeps a picture of their curves there.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [INotebookTracker],
  activate({ commands, serviceManager }: JupyterFrontEnd, rendermime: IRenderMimeRegistry, notebooks: INotebookTracker | null) {
    const server = labServer(serviceManager.serverSettings);
    for (const shown of [job(server, commands), comparison(server, commands)]) {
      // Safe, so that a notebook that is not trusted shows them too: nothing in an output is believed but a job's id,
      // and that only lets the reader see what the reader may see anyway.
      rendermime.addFactory({ safe: true, mimeTypes: [shown.mime], createRenderer: () => new Output(server, shown) }, RANK);
    }
    notebooks?.widgetAdded.connect((_, { context }) => {
      context.saveState.connect((_context, state) => {
        if (state === "started") savePictures(context.model);
      });
    });
  },
};
