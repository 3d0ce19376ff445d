// What all others build on: the server, what is known of its jobs, the settings, and the words of the page's language.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { ITranslator } from "@jupyterlab/translation";
import { setTranslator } from "@jupyter-trainlive/core";
import { Feed } from "../feed";
import { labServer } from "../server";
import { Settings } from "../settings";
import { ITrainLive } from "../trainlive";

const ID = "jupyter-trainlive:plugin";

export const base: JupyterFrontEndPlugin<ITrainLive> = {
  id: ID,
  description: "Watches the training jobs of this server.",
  autoStart: true,
  provides: ITrainLive,
  optional: [ITranslator, ISettingRegistry],
  activate(app: JupyterFrontEnd, translator: ITranslator | null, registry: ISettingRegistry | null) {
    if (translator) setTranslator(translator.load("jupyter_trainlive"));
    const server = labServer(app.serviceManager.serverSettings);
    const feed = new Feed(server);
    const settings = new Settings();
    // Not before the page stands: what people look at first comes first.
    void app.restored.then(() => {
      feed.start();
      if (registry) settings.load(registry, ID).catch((error: unknown) => console.warn("jupyter-trainlive has no settings:", error));
    });
    return { server, feed, settings };
  },
};
