// What a page knows of one job: a fold over the frames it was sent.

import type { EndFrame, Frame, HelloFrame, PointsFrame, WindowFrame } from "../wire/frames";
import { isEnded, type Job, type System } from "../wire/protocol";
import { takeIn } from "./intake";
import { Series } from "./series";

/** What an action changes at once. The rest of its answer is older than the frames that came meanwhile. */
const CONTROL = ["status", "actions", "pause", "queue", "attempt"] as const;

/** Readings kept for the gauges' short history. */
export const HISTORY = 120;

export class JobStore {
  job: Job;
  readonly series = new Map<string, Series>();
  /** The machine's newest reading, and earlier ones, oldest first. A finished job has no more claim on them. */
  system: System | null = null;
  readonly history: System[] = [];
  /**
   * Every record up to this seq is in `series`, and none behind it: where a broken connection resumes. The two change
   * together and at once, by a frame of points or by a whole snapshot; so at any moment what is asked for next is just
   * what is missing.
   */
  points_seq = 0;
  /** Whether the series are mere pictures, as asked for now and then, and not all the points there are. */
  private coarse = false;
  /** The series as they come again from their beginning. The old ones stay until these have caught up with them. */
  private again: { seq: number; series: Map<string, Series> } | null = null;
  /** The server's clock minus this page's, in milliseconds. */
  clock_skew_ms = 0;
  /** The parts of a snapshot that have come. Until its last frame they are nobody's: a broken connection loses no more. */
  private snapshot: { seq: number; series: Map<string, Series> } | null = null;
  private greeting: Pick<HelloFrame, "seq" | "series"> | null = null;
  private readonly listeners = new Set<() => void>();
  private readonly taps = new Set<(points: PointsFrame | null) => void>();

  constructor(job_id: string, name: string | null = null) {
    this.job = { job_id, name };
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Calls `heard` with the points that come from now on, as they are taken in; with null when all series are other ones. */
  tap(heard: (points: PointsFrame | null) => void): () => void {
    this.taps.add(heard);
    return () => this.taps.delete(heard);
  }

  /** The number behind which a new connection is to go on. */
  goOn(): number {
    // Pictures cannot be continued point by point.
    if (this.coarse) this.startOver();
    return this.again ? 0 : this.points_seq;
  }

  /** What comes next begins with the first point, however much is here. */
  startOver(): void {
    this.again = { seq: 0, series: new Map() };
  }

  /** `coarse`: its curves are pictures of the moment, which no points follow. */
  apply(frame: Frame, now_ms: number, coarse = false): void {
    switch (frame.type) {
      case "hello": {
        // A new connection. The rest of an unfinished snapshot or beginning will not come any more.
        this.snapshot = this.again = null;
        this.greeting = frame;
        this.merge(frame.job);
        const server_ms = Date.parse(frame.server_time ?? "");
        if (Number.isFinite(server_ms)) this.clock_skew_ms = server_ms - now_ms;
        break;
      }
      case "points":
        if (!this.takePoints(frame)) return;
        break;
      case "window":
        if (!this.takeSnapshot(frame, coarse)) return;
        break;
      case "log":
      case "error":
        return;
      case "state":
        this.merge(frame.job);
        break;
      case "gauges":
        if (isEnded(this.job)) return;
        this.read(frame.system);
        break;
      case "end":
        this.merge(closing(frame.message ?? {}));
        break;
    }
    this.changed();
  }

  /** Called when an action is sent; the returned function takes in the server's answer to it. */
  awaitAnswer(): (answer: Job) => void {
    const before = this.control();
    const ended = isEnded(this.job);
    return (answer) => {
      // The frames have told something newer: an answer that says "pausing" may come behind "paused".
      if (this.control() !== before) return;
      // Of a job that had ended no frames came, and the answer alone knows what is no longer true.
      this.merge(ended ? answer : Object.fromEntries(CONTROL.map((key) => [key, answer[key]])));
      this.changed();
    };
  }

  /** Changes with whatever decides what can be done with the job. */
  control(): string {
    return JSON.stringify(CONTROL.map((key) => this.job[key]));
  }

  merge(change: Partial<Job>): void {
    this.job = { ...this.job, ...change, job_id: this.job.job_id };
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** Whether the series are other ones now. */
  private takePoints(points: PointsFrame): boolean {
    const { seq, series } = points;
    const resumed = (this.job.attempt ?? 1) > 1;
    const { again } = this;
    if (again) {
      if (seq <= again.seq) return false;
      again.seq = seq;
      takeIn(again.series, series, resumed);
      return this.hasCaughtUp(again, false);
    }
    // Sent again after a reconnection: already here.
    if (seq <= this.points_seq) return false;
    this.points_seq = seq;
    takeIn(this.series, series, resumed);
    for (const heard of this.taps) heard(points);
    return true;
  }

  /** Whether the series are other ones now. A snapshot of less than is known already is passed over. */
  private takeSnapshot({ id, seq, buckets }: WindowFrame, coarse: boolean): boolean {
    if (id !== null || seq < (this.again ?? { seq: this.points_seq }).seq) return false;
    if (this.snapshot?.seq !== seq) this.snapshot = { seq, series: new Map() };
    const { snapshot, greeting } = this;
    const parts = Object.entries(buckets);
    for (const [name, part] of parts) snapshot.series.set(name, Series.of(name, part));
    if (parts.length > 0) return false;
    this.snapshot = null;
    // A bucket knows its last finite value, the greeting what came last: where it is of the same moment, it knows best.
    if (greeting?.seq === seq) for (const { name, last } of greeting.series ?? []) snapshot.series.get(name)?.tellLast(last ?? null);
    if (this.again) return this.hasCaughtUp((this.again = snapshot), coarse);
    this.replace(snapshot, coarse);
    return true;
  }

  private hasCaughtUp(again: { seq: number; series: Map<string, Series> }, coarse: boolean): boolean {
    if (again.seq < this.points_seq) return false;
    this.again = null;
    this.replace(again, coarse);
    return true;
  }

  private replace({ seq, series }: { seq: number; series: Map<string, Series> }, coarse: boolean): void {
    this.series.clear();
    for (const [name, each] of series) this.series.set(name, each);
    this.points_seq = seq;
    this.coarse = coarse;
    for (const heard of this.taps) heard(null);
  }

  private read(system: System): void {
    this.system = system;
    keepReading(this.history, system);
  }
}

/** Adds a reading to a short history. One that brings its own past, which ends with itself, replaces all of it. */
export function keepReading(history: System[], system: System): void {
  if (system.history?.length) history.splice(0, history.length, ...system.history);
  else history.push(system);
  if (history.length > HISTORY) history.splice(0, history.length - HISTORY);
}

/** The closing message says again how it ended; its nulls (a failure has no final loss) must not erase what is known. */
function closing(message: NonNullable<EndFrame["message"]>): Partial<Job> {
  const { status, error, hint, final_loss, eval_loss, progress, completed_at } = message;
  const said = { status, error, hint, final_loss, eval_loss, progress, ended_at: completed_at };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value != null));
}
