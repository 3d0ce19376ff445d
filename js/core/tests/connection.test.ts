// The reconnect machine, alone and driving a fake socket with a fake clock.
import { describe, expect, test } from "vitest";
import { JobStore } from "../src/data/store";
import { JobChannel } from "../src/wire/channel";
import { IDLE, LONGEST_DELAY_MS, advance, backoff, type ConnectionEvent, type ConnectionState } from "../src/wire/connection";
import { ANSWER_MS } from "../src/wire/requests";
import type { LinkHandlers, Transport } from "../src/wire/transport";
import { World } from "./world";

function after(...events: ConnectionEvent[]): ConnectionState {
  return events.reduce((state, event) => advance(state, event, 1)[0], IDLE);
}

describe("the machine", () => {
  test("waits longer after each failure, never longer than the cap, and never all pages at once", () => {
    const waits = [0, 1, 2, 3, 4, 5, 60].map((attempt) => backoff(attempt, 1));
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, LONGEST_DELAY_MS, LONGEST_DELAY_MS]);
    expect(backoff(3, 0)).toBe(2000);
  });

  test("a refusal before hello is asked about, a break after it is not", () => {
    expect(advance(after({ type: "start" }), { type: "closed" }, 1)[1]).toEqual([{ do: "ask" }]);
    const [state, actions] = advance(after({ type: "start" }, { type: "hello" }), { type: "closed" }, 1);
    expect(state.live).toBe("reconnecting");
    expect(actions).toEqual([{ do: "wait", ms: 500 }]);
  });

  test("an unknown job is not tried again", () => {
    const state = after({ type: "start" }, { type: "closed" }, { type: "answer", reason: "missing" });
    expect(state.live).toBe("missing");
    expect(advance(state, { type: "wake", silent_ms: 0 }, 1)).toEqual([state, []]);
  });

  test("signed out is tried again when the user comes back to the page", () => {
    const state = after({ type: "start" }, { type: "closed" }, { type: "answer", reason: "forbidden" });
    expect(advance(state, { type: "timer" }, 1)[1]).toEqual([]);
    expect(advance(state, { type: "wake", silent_ms: 0 }, 1)[1]).toEqual([{ do: "open" }]);
  });

  test("hello forgets earlier failures", () => {
    const broken: ConnectionEvent[] = [{ type: "closed" }, { type: "answer", reason: "away" }, { type: "timer" }];
    const state = after({ type: "start" }, ...broken, ...broken);
    expect(state.attempt).toBe(2);
    expect(advance(state, { type: "hello" }, 1)[0].attempt).toBe(0);
  });

  test("a socket silent since before a sleep is replaced, a lively one kept", () => {
    const live = after({ type: "start" }, { type: "hello" });
    expect(advance(live, { type: "wake", silent_ms: 1_000 }, 1)[1]).toEqual([]);
    expect(advance(live, { type: "wake", silent_ms: 60_000 }, 1)[1]).toEqual([{ do: "drop" }, { do: "open" }]);
  });

  test("after the end nothing but a resumed job starts it again", () => {
    const ended = after({ type: "start" }, { type: "hello" }, { type: "end" });
    const events: ConnectionEvent[] = [{ type: "closed" }, { type: "timer" }, { type: "wake", silent_ms: 1e9 }, { type: "start" }];
    for (const event of events) expect(advance(ended, event, 1)).toEqual([ended, []]);
    const [state, actions] = advance(ended, { type: "revive" }, 1);
    expect(actions).toEqual([{ do: "open" }]);
    expect(state.live).toBe("connecting");
  });

  test("a job that is watched, unknown or left needs no reviving", () => {
    const live = after({ type: "start" }, { type: "hello" });
    const missing = after({ type: "start" }, { type: "closed" }, { type: "answer", reason: "missing" });
    const left = after({ type: "start" }, { type: "hello" }, { type: "stop" });
    for (const state of [live, missing, left]) expect(advance(state, { type: "revive" }, 1)).toEqual([state, []]);
  });
});

class FakeWorld extends World implements Transport {
  readonly via = "socket";
  links: { handlers: LinkHandlers; sent: string[]; dropped: boolean }[] = [];
  reason: "exists" | "missing" | "forbidden" | "away" = "away";

  override random = (): number => 1;
  override chartPixels = (): number => 1234;
  open(_job_id: string, handlers: LinkHandlers): { send(text: string): void; drop(): void } {
    const link = { handlers, sent: [] as string[], dropped: false };
    this.links.push(link);
    return { send: (text) => link.sent.push(text), drop: () => (link.dropped = true) };
  }
  ask = async (): Promise<typeof this.reason> => this.reason;

  pass(ms: number): void {
    this.time += ms;
    const due = this.timers.filter((timer) => timer.at <= this.time);
    this.timers = this.timers.filter((timer) => timer.at > this.time);
    for (const timer of due) timer.task();
  }
  say(frame: object): void {
    this.last.handlers.message(JSON.stringify(frame));
  }
  get last(): (typeof this.links)[number] {
    return this.links[this.links.length - 1]!;
  }
}

function watching(): { world: FakeWorld; store: JobStore; channel: JobChannel } {
  const world = new FakeWorld();
  const store = new JobStore("job_1");
  const channel = new JobChannel(store, [world], world);
  channel.start();
  return { world, store, channel };
}

const hello = { type: "hello", seq: 9, job: { job_id: "job_1", status: "running" }, series: [] };
const steps = (store: JobStore): number[] => store.series.get("loss")!.main.buckets.map(({ x0 }) => x0);
const points = (seq: number, step: number): object => ({ type: "points", seq, series: { loss: { step: [step], time: [step], value: [1] } } });

describe("the channel", () => {
  test("a broken connection resumes after the last points it had", () => {
    const { world, store, channel } = watching();
    world.say(hello);
    expect(world.last.sent.map((text) => JSON.parse(text).since)).toEqual([0]);
    world.say(points(7, 1));
    world.last.handlers.closed();
    expect(channel.live).toBe("reconnecting");
    world.pass(499);
    expect(world.links).toHaveLength(1);
    world.pass(1);
    expect(world.links).toHaveLength(2);
    world.say(hello);
    expect(JSON.parse(world.last.sent[0]!)).toEqual({ type: "subscribe", since: 7, series: "*", log: false, px: 1234 });
    world.say(points(7, 1));
    world.say(points(8, 2));
    expect(steps(store)).toEqual([1, 2]);
    expect(channel.live).toBe("live");
  });

  test("coming back online does not wait for the timer, and the timer does not open a second socket", () => {
    const { world } = watching();
    world.say(hello);
    world.last.handlers.closed();
    world.woken();
    expect(world.links).toHaveLength(2);
    world.pass(60_000);
    expect(world.links).toHaveLength(2);
  });

  test("the end closes for good", () => {
    const { world, store, channel } = watching();
    world.say(hello);
    world.say({ type: "end", seq: 10, message: { status: "completed", final_loss: 1.2, error: null } });
    expect(world.last.dropped).toBe(true);
    expect(channel.live).toBe("ended");
    expect(store.job).toMatchObject({ status: "completed", final_loss: 1.2 });
    world.woken();
    world.pass(60_000);
    expect(world.links).toHaveLength(1);
  });

  test("a job that is resumed after its end goes on live behind the points that are there", () => {
    const { world, store, channel } = watching();
    world.say(hello);
    world.say(points(7, 1));
    world.say({ type: "end", seq: 9, message: { status: "failed", error: "out of memory" } });
    channel.revive();
    channel.revive();
    expect(world.links).toHaveLength(2);
    world.say({ ...hello, job: { job_id: "job_1", status: "queued", error: null, attempt: 2 } });
    expect(JSON.parse(world.last.sent[0]!).since).toBe(7);
    expect(channel.live).toBe("live");
    expect(store.job).toMatchObject({ status: "queued", error: null });
    world.say(points(12, 2));
    expect(steps(store)).toEqual([1, 2]);
  });

  test("an unknown job is said to be missing", async () => {
    const { world, channel } = watching();
    world.reason = "missing";
    world.last.handlers.closed();
    await Promise.resolve();
    await Promise.resolve();
    expect(channel.live).toBe("missing");
    expect(world.timers).toHaveLength(0);
  });

  test("rubbish and frames from a newer server change nothing", () => {
    const { world, store, channel } = watching();
    world.say(hello);
    const before = { ...store.job };
    for (const text of ["", "{", "null", "[]", '"hello"', '{"type":"window","buckets":[]}', new ArrayBuffer(2)]) world.last.handlers.message(text);
    expect(store.job).toEqual(before);
    expect(channel.live).toBe("live");
  });
});

describe("asking for a part of a curve", () => {
  const request = { names: ["loss"], x0: 100, x1: 200, px: 800, axis: "step", smoothing: 0 };
  const answer = (id: number): object => ({ type: "window", id, seq: 9, axis: "step", buckets: { loss: [] } });

  test("each question has a number and gets its own answer, in whatever order they come", async () => {
    const { world, store, channel } = watching();
    world.say(hello);
    const first = channel.window(request);
    const second = channel.window({ ...request, x0: null, x1: null });
    expect(world.last.sent.slice(1).map((text) => JSON.parse(text))).toEqual([
      { type: "window", id: 1, ...request },
      { type: "window", id: 2, ...request, x0: null, x1: null },
    ]);
    world.say(answer(2));
    world.say(answer(1));
    expect((await first).id).toBe(1);
    expect((await second).id).toBe(2);
    expect(store.series.size).toBe(0);
    world.pass(2 * ANSWER_MS);
  });

  test("a refusal names its reason, and the question it belongs to", async () => {
    const { world, channel } = watching();
    world.say(hello);
    const refused = channel.window(request);
    const answered = channel.window(request);
    world.say({ type: "error", id: 1, field: "x1", message: "x1 must be greater than x0" });
    world.say(answer(2));
    await expect(refused).rejects.toMatchObject({ message: "x1 must be greater than x0", field: "x1" });
    expect((await answered).id).toBe(2);
  });

  test("nobody waits for an answer that cannot come", async () => {
    const { world, channel } = watching();
    await expect(channel.window(request)).rejects.toThrow("no connection");
    world.say(hello);
    const slow = channel.window(request);
    world.pass(ANSWER_MS);
    await expect(slow).rejects.toThrow("did not answer");
    world.say(answer(1));
    const broken = channel.window(request);
    world.last.handlers.closed();
    await expect(broken).rejects.toThrow("broke");
    world.pass(500);
    world.say(hello);
    const ended = channel.window(request);
    expect(JSON.parse(world.last.sent[1]!).id).toBe(3);
    world.say({ type: "end", seq: 10, message: { status: "completed" } });
    await expect(ended).rejects.toThrow("broke");
    expect(world.timers).toHaveLength(0);
  });

  test("an error that belongs to no question, and output, change nothing", () => {
    const { world, store, channel } = watching();
    world.say(hello);
    const before = { ...store.job };
    world.say({ type: "error", id: null, field: "since", message: "must be a number" });
    world.say({ type: "log", seq: 9, offset: 0, text: "hello" });
    expect(store.job).toEqual(before);
    expect(channel.live).toBe("live");
  });
});
