// A long history as a snapshot: each point once, wherever the connection breaks.
import { describe, expect, test } from "vitest";
import { JobStore } from "../src/data/store";
import type { Frame, WireBucket } from "../src/wire/frames";

const NAMES = ["loss", "eval_loss", "grad_norm"];

/** A server with a journal of `records`: in each, one point of every series. It answers as the contract says. */
class Server {
  constructor(public records: number) {}

  /** What a client that has everything up to `since` is sent to be up to date, and a few records live behind that. */
  frames(since: number, live: number): Frame[] {
    const hello: Frame = { type: "hello", seq: this.records, job: { job_id: "job_1", status: "running" }, series: [] };
    const seq = this.records;
    // A resumed client gets raw points, one that has nothing a snapshot.
    const history = since > 0 ? this.raw(since, seq) : this.snapshot(seq);
    this.records += live;
    return [hello, ...history, ...this.raw(seq, this.records)];
  }

  snapshot(seq: number): Frame[] {
    const part = (buckets: Record<string, WireBucket[]>): Frame => ({ type: "window", id: null, seq, axis: "step", buckets });
    return [...NAMES.map((name) => part({ [name]: this.buckets(seq) })), part({})];
  }

  private buckets(seq: number): WireBucket[] {
    const buckets: WireBucket[] = [];
    for (let x0 = 0; x0 <= seq; x0 += 8) {
      // Steps count from 1: the first bucket has one fewer.
      const n = Math.min(seq, x0 + 7) - Math.max(1, x0) + 1;
      if (n > 0) buckets.push({ x0, x1: x0 + 8, min: 1, max: 1, last: 1, n, nan: 0, inf: 0, segment: 0 });
    }
    return buckets;
  }

  raw(from: number, to: number): Frame[] {
    const frames: Frame[] = [];
    for (let step = from + 1; step <= to; step += 2) {
      const step_column = step + 1 <= to ? [step, step + 1] : [step];
      const column = { step: step_column, time: step_column, value: step_column.map(() => 1) };
      frames.push({ type: "points", seq: step_column[step_column.length - 1]!, series: Object.fromEntries(NAMES.map((name) => [name, column])) });
    }
    return frames;
  }
}

const counts = (store: JobStore): number[] => NAMES.map((name) => store.series.get(name)?.main.extent.n ?? 0);

describe("a snapshot", () => {
  test("and the points behind it give each point once, wherever the connection breaks, and breaks again", () => {
    const whole = new Server(100).frames(0, 10).length;
    for (let first = 0; first <= whole; first += 1) {
      for (let second = 0; second <= whole; second += 1) {
        const server = new Server(100);
        const store = new JobStore("job_1");
        for (const broken_after of [first, second, Infinity]) {
          for (const frame of server.frames(store.points_seq, 10).slice(0, broken_after)) store.apply(frame, 0);
          // What is known at any moment is whole: of every series just what is up to the seq.
          expect(counts(store), `broken after ${first} and ${second} frames`).toEqual(NAMES.map(() => store.points_seq));
        }
        expect(counts(store)).toEqual(NAMES.map(() => server.records));
      }
    }
  });

  test("is not there before its last frame, and then all at once", () => {
    const store = new JobStore("job_1");
    let told = 0;
    store.subscribe(() => (told += 1));
    const frames = new Server(50).snapshot(50);
    for (const frame of frames.slice(0, -1)) store.apply(frame, 0);
    expect([store.series.size, store.points_seq, told]).toEqual([0, 0, 0]);
    store.apply(frames[frames.length - 1]!, 0);
    expect([counts(store), store.points_seq, told]).toEqual([[50, 50, 50], 50, 1]);
  });

  test("brings a client up to date that fell behind, and again while that was still under way", () => {
    const server = new Server(20);
    const store = new JobStore("job_1");
    for (const frame of server.frames(0, 0)) store.apply(frame, 0);
    server.records = 60;
    for (const frame of server.snapshot(60).slice(0, 2)) store.apply(frame, 0);
    expect(counts(store)).toEqual([20, 20, 20]);
    server.records = 90;
    for (const frame of [...server.snapshot(90), ...server.raw(90, 95)]) store.apply(frame, 0);
    expect([counts(store), store.points_seq]).toEqual([[95, 95, 95], 95]);
  });

  test("that is older than what is known is passed over, and so are the points it holds", () => {
    const server = new Server(20);
    const store = new JobStore("job_1");
    for (const frame of server.frames(0, 10)) store.apply(frame, 0);
    for (const frame of [...server.snapshot(25), ...server.raw(25, 30)]) store.apply(frame, 0);
    expect([counts(store), store.points_seq]).toEqual([[30, 30, 30], 30]);
  });

  test("takes the place of all series, so that a view sees that they are others", () => {
    const server = new Server(20);
    const store = new JobStore("job_1");
    for (const frame of server.raw(0, 20)) store.apply(frame, 0);
    const { version } = store.series.get("loss")!;
    const { series } = store;
    for (const frame of server.snapshot(20)) store.apply(frame, 0);
    expect(store.series).toBe(series);
    expect(store.series.get("loss")!.version).not.toBe(version);
    expect(store.series.get("loss")!.level).toBe(3);
  });

  test("of a job whose loss went NaN reads NaN, though its last bucket holds finite values as well", () => {
    const server = new Server(20);
    const store = new JobStore("job_1");
    const series = [{ name: "loss", count: 20, last: "nan" as const }];
    store.apply({ type: "hello", seq: 20, job: { job_id: "job_1" }, series }, 0);
    for (const frame of server.snapshot(20)) store.apply(frame, 0);
    expect([store.series.get("loss")!.last, store.series.get("eval_loss")!.last]).toEqual(["nan", 1]);
    // Later ones know of values that the greeting does not.
    for (const frame of server.snapshot(25)) store.apply(frame, 0);
    expect(store.series.get("loss")!.last).toBe(1);
  });

  test("the answer to a question is not part of it", () => {
    const store = new JobStore("job_1");
    store.apply({ type: "window", id: 1, seq: 9, axis: "step", buckets: {} }, 0);
    expect(store.points_seq).toBe(0);
  });
});
