// What is said of jobs in one line, and which are looked for: pure.

import {
  __,
  _n,
  duration,
  isEnded,
  isReleased,
  metric,
  percent,
  phaseText,
  shortened,
  statusWord,
  UNKNOWN,
  type Gpu,
  type Job,
  type System,
} from "@jupyter-trainlive/core";

/** One line has no room for more. */
const LONGEST = 200;

/** One line of what matters most about a job now; `gpus` are the machine's. */
export function summary(job: Job, gpus: readonly Gpu[]): string {
  const words: (string | null)[] = [];
  if (isEnded(job)) {
    // It goes on holding memory, which is not seen otherwise.
    if (job.kept) words.push(__("kernel kept"));
    if (job.status === "completed") words.push(job.final_loss == null ? null : metric(job.final_loss));
    else words.push((job.status !== "cancelled" && job.error) || statusWord(job));
    if (job.status === "completed" && job.started_at && job.ended_at) {
      words.push(duration((Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000));
    }
  } else {
    const standing = job.status === "paused" || job.status === "queued";
    words.push(standing || job.progress == null ? null : percent(job.progress));
    words.push(phaseText(job) ?? (job.eta_seconds ? duration(Math.max(1, job.eta_seconds)) : null));
    if (!isReleased(job)) {
      words.push(...gpus.filter(({ uuid }) => uuid && job.gpus?.includes(uuid)).map(({ index }) => __("GPU %1", index)));
    }
  }
  return shortened(words.filter(Boolean).join(" · "), LONGEST) || statusWord(job);
}

/** What the list can be narrowed to, in the order in which it is offered. */
export const FILTERS = ["all", "running", "waiting", "paused", "completed", "failed", "cancelled"] as const;
export type Filter = (typeof FILTERS)[number];

const OF_STATUS: Record<string, Filter> = {
  queued: "waiting",
  starting: "waiting",
  running: "running",
  cancelling: "running",
  pausing: "paused",
  paused: "paused",
  completed: "completed",
  failed: "failed",
  interrupted: "failed",
  cancelled: "cancelled",
};

/** Whether a job is one of those looked for: `text` is part of its name, id or state. */
export function matches(job: Job, text: string, filter: Filter): boolean {
  if (filter !== "all" && OF_STATUS[job.status ?? ""] !== filter) return false;
  const said = `${job.name ?? ""} ${job.job_id} ${job.status ?? ""} ${statusWord(job)}`;
  return said.toLowerCase().includes(text.trim().toLowerCase());
}

/** What runs first, then what stands, then the queue in its own order; else the newest first, as they came. */
export function inOrder(active: readonly Job[]): Job[] {
  const rank = (job: Job): number => {
    if (job.status === "queued") return 2;
    return job.status === "paused" ? 1 : 0;
  };
  const place = (job: Job): number => job.queue?.position ?? Number.MAX_SAFE_INTEGER;
  return [...active].sort((a, b) => rank(a) - rank(b) || (rank(a) === 2 ? place(a) - place(b) : 0));
}

/** For the status bar: what is active in few words; the load is that of all GPUs together. */
export function statusText(active: readonly Job[], system: System | null): string {
  const of = (filter: Filter): number => active.filter((job) => OF_STATUS[job.status ?? ""] === filter).length;
  const [running, waiting] = [of("running"), of("waiting")];
  const words = [
    running > 0
      ? _n("%1 running", "%1 running", running)
      : waiting > 0
        ? _n("%1 waiting", "%1 waiting", waiting)
        : _n("%1 paused", "%1 paused", active.length),
  ];
  const loads = loadsOf(system);
  const known = loads.filter((load): load is number => load !== null);
  if (loads.length > 0) {
    const mean = known.length > 0 ? percent(Math.round(known.reduce((sum, load) => sum + load, 0) / known.length)) : UNKNOWN;
    words.push(_n("GPU %2", "%1 GPUs %2", loads.length, mean));
  }
  return words.join(" · ");
}

const loadsOf = (system: System | null): (number | null)[] => (system?.gpus ?? []).map((gpu) => gpu.utilization_percent ?? null);
