// Has the user choose one of several jobs by name.

import { InputDialog } from "@jupyterlab/apputils";
import { __, type Job } from "@jupyter-trainlive/core";

/** Null where none was chosen. */
export async function chooseJob(title: string, jobs: readonly Job[]): Promise<Job | null> {
  // Names may be the same; the id tells them apart.
  const items = jobs.map((job) => (job.name ? `${job.name} (${job.job_id})` : job.job_id));
  const answer = await InputDialog.getItem({ title, items, okLabel: __("Open") });
  return answer.button.accept && answer.value !== null ? (jobs[items.indexOf(answer.value)] ?? null) : null;
}
