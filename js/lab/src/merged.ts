// The newest jobs as just read, put before the older ones that were known: pure.

import { isEnded, type Job } from "@jupyter-trainlive/core";

export interface Merged {
  /** Newest first. */
  jobs: Job[];
  /** Those of them that are older than the page and not known to have ended, so that only asking for them tells. */
  astray: Job[];
}

/** `page` holds the newest jobs; `more` says that the server has older ones, which `known` may hold. */
export function merged(known: readonly Job[], page: readonly Job[], more: boolean): Merged {
  const oldest = page[page.length - 1];
  if (!more || !oldest) return { jobs: [...page], astray: [] };
  const read = new Set(page.map((job) => job.job_id));
  const end = known.findIndex((job) => job.job_id === oldest.job_id);
  // Where the page's last job was not known, nothing tells which of the known ones are older, but when they were submitted.
  const older =
    end >= 0 ? known.slice(end + 1) : known.filter((job) => (job.submitted_at ?? "") < (oldest.submitted_at ?? ""));
  const rest = older.filter((job) => !read.has(job.job_id));
  return { jobs: [...page, ...rest], astray: rest.filter((job) => !isEnded(job)) };
}
