// What all others build on: the server, and the words of the page's language.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ITranslator } from "@jupyterlab/translation";
import { setTranslator } from "@jupyter-trainlive/core";
import { labServer } from "../server";
import { ITrainLive } from "../trainlive";

export const base: JupyterFrontEndPlugin<ITrainLive> = {
  id: "jupyter-trainlive:plugin",
  description: "Watches the training jobs of this server.",
  autoStart: true,
  provides: ITrainLive,
  optional: [ITranslator],
  activate(app: JupyterFrontEnd, translator: ITranslator | null) {
    if (translator) setTranslator(translator.load("jupyter_trainlive"));
    return { server: labServer(app.serviceManager.serverSettings) };
  },
};
