// Tells of a job that ended, failed or raised an alert; with a sound or the system's notification where that is wanted.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { Notification as Toast } from "@jupyterlab/apputils";
import { __, jobTitle, shortened } from "@jupyter-trainlive/core";
import { OPEN } from "../commands";
import { Newsreader, type News } from "../news";
import { chime } from "../sound";
import { ITrainLive } from "../trainlive";

const TYPES = { ended: "success", failed: "error", alert: "warning" } as const;
const GOOD_NEWS_MS = 10_000;
const LONGEST = 300;

export const notifications: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:notifications",
  description: "Tells of training jobs that end, fail or raise an alert.",
  autoStart: true,
  requires: [ITrainLive],
  activate({ commands }: JupyterFrontEnd, { feed, settings }: ITrainLive) {
    const reader = new Newsreader();
    const open = ({ job }: News): void => void commands.execute(OPEN, { job_id: job.job_id, name: job.name ?? "" });

    feed.subscribe(() => {
      if (!feed.loaded || feed.trouble !== null) return;
      const wanted = reader.read(feed.jobs).filter(({ kind }) => settings.values.notify[kind]);
      for (const news of wanted) {
        Toast.emit(shortened(news.text, LONGEST), news.job.status === "cancelled" ? "info" : TYPES[news.kind], {
          // What went wrong waits until somebody has seen it.
          autoClose: news.kind === "ended" ? GOOD_NEWS_MS : false,
          actions: [{ label: __("Open"), callback: () => open(news) }],
        });
        if (settings.values.system) tellSystem(news, () => open(news));
      }
      if (wanted.length > 0 && settings.values.sound) void chime().catch(() => {});
    });

    // The browser wants to be asked while the user is at it.
    let asked = false;
    settings.subscribe(() => {
      if (!settings.values.system || asked || !("Notification" in window) || Notification.permission !== "default") return;
      asked = true;
      void Notification.requestPermission();
    });
  },
};

/** Only while the page is not in front: there the toast is seen. Of several pages that tell the same, one is shown. */
function tellSystem({ job, text, key }: News, open: () => void): void {
  if (!("Notification" in window) || Notification.permission !== "granted" || document.hasFocus()) return;
  const shown = new Notification(jobTitle(job), { body: shortened(text, LONGEST), tag: key });
  shown.addEventListener("click", () => {
    window.focus();
    open();
    shown.close();
  });
}
