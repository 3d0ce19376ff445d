// Several jobs are compared in a tab of the main area, which is there again after a reload.

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { WidgetTracker } from "@jupyterlab/apputils";
import { __ } from "@jupyter-trainlive/core";
import { UUID } from "@lumino/coreutils";
import { COMPARE, OPEN } from "../commands";
import { Comparison } from "../comparison";
import { curveIcon } from "../icons";
import { showLarge } from "../place";
import { ITrainLive } from "../trainlive";

export const compare: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:compare",
  description: "Compares several training jobs in a tab.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [ILayoutRestorer],
  activate({ commands, shell }: JupyterFrontEnd, { server }: ITrainLive, restorer: ILayoutRestorer | null) {
    const tabs = new WidgetTracker<Comparison>({ namespace: "trainlive-compare" });
    commands.addCommand(COMPARE, {
      label: __("Compare Training Jobs"),
      icon: curveIcon,
      execute(args) {
        const job_ids = (Array.isArray(args.job_ids) ? args.job_ids : []).map(String);
        if (job_ids.length === 0) return;
        const wanted = [...job_ids].sort().join();
        let tab = tabs.find((open) => [...open.job_ids].sort().join() === wanted);
        if (!tab) {
          const made = new Comparison(server, String(args.key ?? UUID.uuid4()), job_ids, ({ job_id, name }) => {
            void commands.execute(OPEN, { job_id, name: name ?? "" });
          });
          made.changed = () => void tabs.save(made);
          void tabs.add(made);
          tab = made;
        }
        showLarge(shell, tab);
      },
    });
    void restorer?.restore(tabs, {
      command: COMPARE,
      args: (tab) => ({ key: tab.key, job_ids: [...tab.job_ids] }),
      name: (tab) => tab.key,
    });
  },
};
