// What can be asked of a job from menus: asked of the server, with the reason shown where it says no.

import { Dialog, showDialog, showErrorMessage } from "@jupyterlab/apputils";
import { __, askOfJob, deleteJob, jobTitle, ServerError, type Job, type Server } from "@jupyter-trainlive/core";
import type { Feed } from "./feed";

export type Wish = "pause" | "release" | "resume" | "cancel" | "delete" | "end_kernel";

/** Asks the user first where it cannot be taken back. */
export async function wish(server: Server, feed: Feed, job: Pick<Job, "job_id" | "name">, what: Wish): Promise<void> {
  if (!(await confirmed(job, what))) return;
  try {
    if (what === "delete") await deleteJob(server, job.job_id);
    else await askOfJob(server, job.job_id, what);
  } catch (error) {
    await showRefusal(error);
  } finally {
    feed.refresh();
  }
}

export function showRefusal(error: unknown): Promise<void> {
  return showErrorMessage(__("Training"), error instanceof ServerError ? error.message : __("The server could not be reached. Try again."));
}

async function confirmed(job: Pick<Job, "job_id" | "name">, what: Wish): Promise<boolean> {
  const called = jobTitle(job);
  const ask = async (title: string, body: string, yes: string, no: string): Promise<boolean> =>
    (await showDialog({ title, body, buttons: [Dialog.cancelButton({ label: no }), Dialog.warnButton({ label: yes })], defaultButton: 0 })).button.accept;
  switch (what) {
    case "cancel":
      return ask(__("Stop this training?"), called, __("Stop it"), __("Keep going"));
    case "delete":
      return ask(__("Delete this job?"), __("%1: its curves, output and files are deleted.", called), __("Delete"), __("Keep it"));
    case "end_kernel":
      return ask(__("End its kernel?"), __("%1: what is only in its memory is lost.", called), __("End it"), __("Keep it"));
    default:
      return true;
  }
}
