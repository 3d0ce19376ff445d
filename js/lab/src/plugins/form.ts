// "New fine-tune": the recipe's form as a tab, empty or filled in as a job was launched; there again after a reload.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, WidgetTracker } from "@jupyterlab/apputils";
import { __, type Beginning } from "@jupyter-trainlive/core";
import { NEW_FINETUNE, OPEN } from "../commands";
import { FormTab } from "../form-tab";
import { showLarge } from "../place";
import { ITrainLive } from "../trainlive";

export const form: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:form",
  description: "Starts a fine-tune from a form.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ICommandPalette, ILayoutRestorer],
  activate(app: JupyterFrontEnd, { server, feed }: ITrainLive, palette: ICommandPalette | null, restorer: ILayoutRestorer | null) {
    const { commands, shell } = app;
    const tabs = new WidgetTracker<FormTab>({ namespace: "trainlive-form" });
    // Its arguments: `job_id` of one to launch again, `values` that differ from that one's, `entries` that were typed before.
    commands.addCommand(NEW_FINETUNE, {
      label: __("New Fine-Tune"),
      caption: __("Fill in the parameters of a fine-tune, see what it would do, and start it"),
      execute(args) {
        const tab = new FormTab(server, args as Beginning, app.serviceManager, ({ job_id, name }) => {
          feed.refresh();
          void commands.execute(OPEN, { job_id, name: name ?? "" });
        });
        tab.typed = () => void tabs.save(tab);
        void tabs.add(tab);
        showLarge(shell, tab);
      },
    });
    palette?.addItem({ command: NEW_FINETUNE, category: __("Training") });
    void restorer?.restore(tabs, { command: NEW_FINETUNE, args: ({ entries }) => ({ entries }), name: ({ id }) => id });
  },
};
