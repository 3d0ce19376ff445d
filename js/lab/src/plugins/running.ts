// The active jobs among what runs on this server: they open from there, and are shut down there, which is to cancel them.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { IRunningSessionManagers, type IRunningSessions } from "@jupyterlab/running";
import { __, askOfJob, jobTitle, type Job } from "@jupyter-trainlive/core";
import { Signal } from "@lumino/signaling";
import { wish } from "../actions";
import { OPEN } from "../commands";
import { markIcon } from "../icons";
import { summary } from "../summary";
import { ITrainLive } from "../trainlive";

export const running: JupyterFrontEndPlugin<void> = {
  id: "jupyter-trainlive:running",
  description: "Lists active training jobs among the running sessions.",
  autoStart: true,
  requires: [ITrainLive],
  optional: [IRunningSessionManagers],
  activate({ commands }: JupyterFrontEnd, { server, feed }: ITrainLive, managers: IRunningSessionManagers | null) {
    if (!managers) return;
    const changed = new Signal<object, void>(feed);
    let shown = "";
    // The list is drawn anew at every change, so only a change that it shows is one.
    feed.subscribe(() => {
      const now = JSON.stringify(feed.active.map((job) => [job.job_id, job.name, job.status, detail(job)]));
      if (now !== shown) changed.emit();
      shown = now;
    });
    const detail = (job: Job): string => summary(job, feed.system?.gpus ?? []);
    const item = (job: Job): IRunningSessions.IRunningItem => ({
      open: () => void commands.execute(OPEN, { job_id: job.job_id, name: job.name ?? "" }),
      shutdown: () => void wish(server, feed, job, "cancel"),
      icon: () => markIcon(job),
      label: () => jobTitle(job),
      labelTitle: () => `${job.name ? jobTitle(job) : ""} ${job.job_id}`.trim(),
      detail: () => detail(job),
    });
    managers.add({
      name: __("Training"),
      running: () => feed.active.map(item),
      // The list itself has asked whether all are meant.
      shutdownAll: () => void Promise.allSettled(feed.active.map(({ job_id }) => askOfJob(server, job_id, "cancel"))).then(() => feed.refresh()),
      refreshRunning: () => feed.refresh(),
      runningChanged: changed,
      shutdownLabel: __("Cancel Training"),
      shutdownAllLabel: __("Cancel All"),
      shutdownAllConfirmationText: __("Cancel all active trainings?"),
    });
  },
};
