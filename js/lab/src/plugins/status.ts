// The status bar: how many jobs are active and how loaded the GPUs are. A click opens the panel.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { IStatusBar } from "@jupyterlab/statusbar";
import { Signal } from "@lumino/signaling";
import { SHOW } from "../commands";
import { StatusItem } from "../status-item";
import { ITrainLive } from "../trainlive";

export const status: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:status",
  description: "Shows active training jobs and the load of the GPUs in the status bar.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [IStatusBar],
  activate({ commands }: JupyterFrontEnd, { feed }: ITrainLive, bar: IStatusBar | null) {
    if (!bar) return;
    const item = new StatusItem(() => void commands.execute(SHOW));
    const changed = new Signal<StatusItem, void>(item);
    let active = false;
    feed.subscribe(() => {
      item.tell(feed.active, feed.system);
      if (active === feed.active.length > 0) return;
      active = !active;
      changed.emit();
    });
    bar.registerStatusItem("jupyter-trainlive:status", {
      item,
      align: "left",
      rank: 650,
      isActive: () => active,
      activeStateChanged: changed,
    });
  },
};
