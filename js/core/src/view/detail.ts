// All that the server says of one job: asked for when somebody looks, and again once it may say more.

import type { JobStore } from "../data/store";
import { isEnded, type Job } from "../wire/protocol";
import { getJob, type Server } from "../wire/server";

export interface Detail {
  readonly job: Job | null;
  readonly failed: boolean;
  /** Asks where something has happened since the last answer that it may tell of. Cheap to call often. */
  want(): void;
}

const AGAIN_MS = 5_000;

export function detail(store: JobStore, server: Server, changed: () => void): Detail {
  let answer: Job | null = null;
  let failed = false;
  let asked = "";
  let asked_ms = 0;

  /** What leaves something behind: an attempt, a checkpoint, something it gave away, the end. */
  const moment = (): string => {
    const { attempt, status, checkpoint_step, artifacts, phase } = store.job;
    return [attempt, status === "queued", isEnded(store.job), checkpoint_step, artifacts?.length, phase].join();
  };
  return {
    get job() {
      return answer;
    },
    get failed() {
      return failed;
    },
    want() {
      const now = moment();
      if (asked === now && !(failed && Date.now() - asked_ms >= AGAIN_MS)) return;
      asked = now;
      asked_ms = Date.now();
      getJob(server, store.job.job_id)
        .then(
          (job) => {
            answer = job;
            failed = false;
          },
          () => {
            failed = true;
            setTimeout(changed, AGAIN_MS);
          },
        )
        .finally(changed);
    },
  };
}
