// What the page knows of all jobs and of the machine: read by one poll, for panel, status bar, running list and news.

import {
  getJob,
  getSystem,
  isEnded,
  keepReading,
  listPage,
  reviveWatched,
  ServerError,
  type Job,
  type Server,
  type System,
} from "@jupyter-trainlive/core";
import { Poll } from "@lumino/polling";
import { merged } from "./merged";

/** How often to look: while somebody watches or a job is active, while nothing happens, and while the page is hidden. */
const BRISK_MS = 3_000;
const QUIET_MS = 15_000;
const HIDDEN_MS = 30_000;
const LONGEST_MS = 60_000;

const NEWEST = 50;
const WHOLE = 500;
/** In between only the newest jobs are read again: older ones have ended, but for those that are read one by one. */
const WHOLE_EVERY_MS = 120_000;
const ONE_BY_ONE = 10;

export class Feed {
  /** Newest first. Empty until the first answer has come: see `loaded`. */
  jobs: readonly Job[] = [];
  loaded = false;
  /** The newest reading while one is wanted: a panel is open, or a job is active. */
  system: System | null = null;
  readonly history: System[] = [];
  /** Why the last reading failed, or null. */
  trouble: unknown = null;
  private readonly listeners = new Set<() => void>();
  private readonly watchers = new Set<object>();
  private readonly poll: Poll;
  private whole_at = -Infinity;

  constructor(private readonly server: Server) {
    this.poll = new Poll({
      auto: false,
      factory: () => this.read(),
      frequency: this.frequency(),
      standby: "never",
    });
    // What stood still meanwhile is old news to whoever comes back to the page.
    document.addEventListener("visibilitychange", () => !document.hidden && void this.poll.refresh());
  }

  start(): void {
    void this.poll.start();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Reads briskly, and the machine too, until `watcher` looks away. */
  watch(watcher: object, looking: boolean): void {
    if (looking === this.watchers.has(watcher)) return;
    if (looking) this.watchers.add(watcher);
    else this.watchers.delete(watcher);
    if (looking) void this.poll.refresh();
  }

  /** Reads all jobs again at once, as after something was asked of one. */
  refresh(): void {
    this.whole_at = -Infinity;
    void this.poll.refresh();
  }

  get active(): readonly Job[] {
    return this.jobs.filter((job) => !isEnded(job));
  }

  private frequency(): { interval: number; backoff: boolean; max: number } {
    const brisk = this.watchers.size > 0 || this.active.length > 0;
    return { interval: document.hidden ? HIDDEN_MS : brisk ? BRISK_MS : QUIET_MS, backoff: true, max: LONGEST_MS };
  }

  private async read(): Promise<void> {
    try {
      const watched = this.watchers.size > 0 || this.active.length > 0;
      const [jobs, system] = await Promise.all([this.readJobs(), watched ? getSystem(this.server).catch(unread) : null]);
      this.jobs = jobs;
      this.loaded = true;
      this.system = system;
      if (system) keepReading(this.history, system);
      this.trouble = null;
      reviveWatched(this.server, jobs);
    } catch (error) {
      this.trouble = error;
      // Rejecting tells the poll to slow down.
      throw error;
    } finally {
      this.poll.frequency = this.frequency();
      for (const listener of this.listeners) listener();
    }
  }

  private async readJobs(): Promise<Job[]> {
    const now = performance.now();
    const whole = now - this.whole_at >= WHOLE_EVERY_MS;
    const page = await listPage(this.server, { limit: whole ? WHOLE : NEWEST });
    if (whole) this.whole_at = now;
    // A whole page takes the place of everything, so what was deleted in between goes.
    const { jobs, astray } = merged(whole ? [] : this.jobs, page.jobs, page.next_cursor !== null);
    if (astray.length === 0) return jobs;
    const found = new Map<string, Job>();
    const gone = new Set<string>();
    await Promise.all(
      astray.slice(0, ONE_BY_ONE).map(async ({ job_id }) => {
        try {
          found.set(job_id, await getJob(this.server, job_id));
        } catch (error) {
          if (!(error instanceof ServerError && error.status === 404)) throw error;
          gone.add(job_id);
        }
      }),
    );
    return jobs.filter(({ job_id }) => !gone.has(job_id)).map((job) => found.get(job.job_id) ?? job);
  }
}

/** A machine whose gauges cannot be read still has jobs to show. */
function unread(error: unknown): null {
  if (error instanceof ServerError) return null;
  throw error;
}
