// What has happened to the jobs since the last look: each thing once, and nothing from before the first. Pure.

import { __, _n, duration, isEnded, jobTitle, metric, type Job } from "@jupyter-trainlive/core";
import type { Kind } from "./settings";

export interface News {
  kind: Kind;
  job: Job;
  text: string;
  /** The same in every page that tells of it. */
  key: string;
}

/** What is remembered of a job: how it stood, and what it had raised. */
interface Seen {
  end: string | null;
  alerts: Set<string>;
}

type JobAlert = NonNullable<Job["alerts"]>[number];

export class Newsreader {
  private readonly seen = new Map<string, Seen>();
  /** When the newest job of the first look was submitted; null before that look. */
  private since: string | null = null;

  /** `jobs` are all that are known now. */
  read(jobs: readonly Job[]): News[] {
    const news: News[] = [];
    const { since } = this;
    for (const job of jobs) {
      const now: Seen = { end: isEnded(job) ? `${job.status} ${job.ended_at}` : null, alerts: new Set((job.alerts ?? []).map(keyOf)) };
      const before = this.seen.get(job.job_id);
      this.seen.set(job.job_id, now);
      // Of a job that comes to be known late, as one of an older page, nothing is news; of one that is new, everything.
      if (since === null || (!before && (job.submitted_at ?? "") <= since)) continue;
      news.push(...alerts(job, before?.alerts), ...ending(job, now.end, before?.end ?? null));
    }
    this.since ??= jobs.reduce((newest, job) => ((job.submitted_at ?? "") > newest ? job.submitted_at! : newest), "");
    return news;
  }
}

const keyOf = ({ time, name, step, message }: JobAlert): string => `${time} ${name} ${step} ${message}`;

function alerts(job: Job, before: ReadonlySet<string> | undefined): News[] {
  const fresh = (job.alerts ?? []).filter((alert) => !before?.has(keyOf(alert)));
  const newest = fresh[fresh.length - 1];
  if (!newest) return [];
  // Several at once are one piece of news: the job's page has them all.
  const others = fresh.length > 1 ? ` ${_n("(and %1 other alert)", "(and %1 other alerts)", fresh.length - 1)}` : "";
  return [{ kind: "alert", job, text: `${jobTitle(job)}: ${newest.message}${others}`, key: `${job.job_id} ${keyOf(newest)}` }];
}

function ending(job: Job, end: string | null, before: string | null): News[] {
  if (end === null || end === before) return [];
  const kind = job.status === "completed" || job.status === "cancelled" ? "ended" : "failed";
  return [{ kind, job, text: endText(job), key: `${job.job_id} ${end}` }];
}

function endText(job: Job): string {
  const name = jobTitle(job);
  switch (job.status) {
    case "completed": {
      const took = job.started_at && job.ended_at ? (Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000 : null;
      const facts = [job.final_loss == null ? null : __("loss %1", metric(job.final_loss)), took === null ? null : duration(took)];
      return [__("%1 completed", name), ...facts].filter(Boolean).join(" · ");
    }
    case "cancelled":
      return __("%1 was cancelled", name);
    case "interrupted":
      return job.error ? __("%1 was interrupted: %2", name, job.error) : __("%1 was interrupted", name);
    default:
      return job.error ? __("%1 failed: %2", name, job.error) : __("%1 failed", name);
  }
}
