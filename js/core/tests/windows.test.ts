// Parts of curves asked of the server, and gone on with: no point lost or counted twice, and no more asked than needed.
import { describe, expect, test } from "vitest";
import { averages } from "../src/data/ema";
import { Line } from "../src/data/line";
import type { Look } from "../src/data/refined";
import { Series } from "../src/data/series";
import { JobStore } from "../src/data/store";
import { Windows, windowsOf, type Clock, type Wish } from "../src/data/windows";
import type { WindowFrame, WindowRequest, WireBucket } from "../src/wire/frames";
import { dice } from "./dice";
import { PLAIN, sourceWith } from "./lines";

const WEIGHT = 0.9;

/** TensorBoard's average, from the very beginning. */
function average(values: readonly number[], weight: number): number[] {
  let sum = 0;
  return values.map((value, k) => (sum = weight * sum + (1 - weight) * value) / (1 - weight ** (k + 1)));
}

/** A server that has logged `values`, step by step from 1, and told a page of the first few. */
class Server {
  readonly store = new JobStore("job_1");
  readonly questions: { request: WindowRequest; answer(): Promise<void>; refuse(): Promise<void> }[] = [];
  private told = 0;
  readonly source = { job_id: "job_1", store: this.store, window: (request: WindowRequest) => this.ask(request) };

  constructor(readonly values: number[]) {}

  tell(count: number): void {
    const from = this.told;
    this.told = Math.min(this.values.length, from + count);
    if (this.told === from) return;
    const step = Array.from({ length: this.told - from }, (_, k) => from + k + 1);
    this.store.apply({ type: "points", seq: this.told, series: { loss: { step, time: step.map((each) => 1_000 + each), value: this.values.slice(from, this.told) } } }, 0);
  }

  private ask(request: WindowRequest): Promise<WindowFrame> {
    // It answers with what it has logged when it is asked, which may be more than it has told.
    const frame = this.frame(request, this.values.length);
    return new Promise((resolve, reject) => {
      const soon = (): Promise<void> => new Promise((done) => setTimeout(done));
      this.questions.push({ request, answer: () => (resolve(frame), soon()), refuse: () => (reject(new Error("away")), soon()) });
    });
  }

  private frame({ names, axis, smoothing, x0, x1 }: WindowRequest, seq: number): WindowFrame {
    const smooth = average(this.values, smoothing);
    const buckets: WireBucket[] = [];
    const width = axis === "step" ? 16 : 0.25;
    for (let k = 0; k < seq; k += 1) {
      const at = Math.floor((axis === "step" ? k + 1 : 1_001 + k) / width) * width;
      if ((x0 !== null && at + width <= x0) || (x1 !== null && at > x1)) continue;
      const value = this.values[k]!;
      const last = buckets[buckets.length - 1];
      if (last?.x0 === at) Object.assign(last, { n: last.n + 1, last: value, min: Math.min(Number(last.min), value), max: Math.max(Number(last.max), value), smoothed: smooth[k]! });
      else buckets.push({ x0: at, x1: at + width, min: value, max: value, last: value, n: 1, nan: 0, inf: 0, smoothed: smoothing ? smooth[k]! : null });
    }
    return { type: "window", id: 1, seq, axis, buckets: Object.fromEntries(names.map((name) => [name, buckets])) };
  }
}

/** Time that stands still until it is told to go on. */
class Hours implements Clock {
  private time = 0;
  private tasks: { at: number; task(): void }[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, task: () => void): void {
    this.tasks.push({ at: this.time + ms, task });
  }

  pass(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.tasks.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.tasks.splice(this.tasks.indexOf(next), 1);
      this.time = Math.max(this.time, next.at);
      next.task();
    }
    this.time = end;
  }
}

const look = (change: Partial<Look> = {}): Look => ({ axis: "step", x0: null, x1: null, px: 1_000, smoothing: WEIGHT, ...change });
const wish = (name: string, change: Partial<Look> = {}): Wish => ({ name, look: look(change) });

describe("a smoothed curve", () => {
  test("that is gone on with is the server's average of all points, wherever the answer falls among what comes", async () => {
    for (const axis of ["step", "time"] as const) {
      for (let seed = 1; seed <= 30; seed += 1) {
        const random = dice(seed);
        const server = new Server(Array.from({ length: 40 + Math.floor(random() * 60) }, random));
        server.tell(Math.floor(random() * 60));
        const hours = new Hours();
        const windows = new Windows(server.source, hours);
        windows.want(() => undefined, [wish("loss", { axis })]);
        hours.pass(100);
        // While the question is under way more is logged, some of what the answer holds is told, and perhaps more than that.
        server.tell(Math.floor(random() * 30));
        server.values.push(...Array.from({ length: Math.floor(random() * 30) }, random));
        server.tell(Math.floor(random() * 60));
        await server.questions[0]!.answer();
        for (let k = 0; k < 5; k += 1) {
          server.values.push(...Array.from({ length: Math.floor(random() * 20) }, random));
          server.tell(Math.floor(random() * 40));
        }
        server.tell(1_000);
        const { main } = windows.get(wish("loss", { axis }))!;
        const exact = average(server.values, WEIGHT);
        expect(main.extent.n, `seed ${seed}`).toBe(server.values.length);
        expect(main.end!.smoothed, `seed ${seed}`).toBeCloseTo(exact[exact.length - 1]!, 12);
        expect(main.end!.last).toBe(server.values[server.values.length - 1]);
      }
    }
  });

  test("of which each point is here is told without the server, and begins anew where the steps went back", () => {
    const values = [3, 1, 2, 5, 4];
    const loss = new Series("loss");
    loss.append({ step: [1, 2, 3, 4, 5], time: [0, 0, 0, 0, 0], value: values });
    const rounded = (all: readonly (number | null)[]): (number | null)[] => all.map((each) => each && Number(each.toFixed(12)));
    expect(rounded(averages(loss.main.buckets, WEIGHT))).toEqual(rounded(average(values, WEIGHT)));
    loss.append({ step: [4, 5], time: [0, 0], value: [7, "nan"] });
    expect(rounded(averages(loss.main.buckets, WEIGHT))).toEqual(rounded([...average(values.slice(0, 3), WEIGHT), 7, null]));
    const line = new Line(sourceWith(loss), "loss");
    const view = { lens: { ...PLAIN, smoothing: WEIGHT }, seen: { min: 0, max: 5 }, px: 800 };
    expect(line.wishes(view)).toEqual([]);
  });

  test("is shown nearly as it will be until the answer comes", () => {
    const long = new Series("loss");
    const step = Array.from({ length: 20_000 }, (_, k) => k);
    long.append({ step, time: step, value: step.map((each) => 1 + Math.exp(-each / 5_000)) });
    const line = new Line(sourceWith(long), "loss");
    const view = { lens: { ...PLAIN, smoothing: WEIGHT }, seen: { min: 0, max: 20_000 }, px: 800 };
    const wishes = line.wishes(view);
    expect(wishes).toEqual([wish("loss", { px: 800 })]);
    line.resolve(view, wishes, windowsOf(line.source));
    const [piece] = line.pieces;
    const near = piece!.smoothed!;
    expect(piece!.series).toBe(long);
    expect(near[near.length - 1]).toBeCloseTo(1 + Math.exp(-4), 2);
  });
});

describe("what is asked", () => {
  const named = (count: number): Server => {
    const server = new Server([1, 2, 3]);
    for (let k = 0; k < count; k += 1) server.store.series.set(`s${k}`, new Series(`s${k}`));
    return server;
  };

  test("is asked together, 16 at most, two at a time", async () => {
    const server = named(40);
    const hours = new Hours();
    const windows = new Windows(server.source, hours);
    let came = 0;
    windows.want(() => (came += 1), Array.from({ length: 40 }, (_, k) => wish(`s${k}`)));
    hours.pass(0);
    expect(server.questions.map(({ request }) => request.names.length)).toEqual([16, 16]);
    await server.questions[0]!.answer();
    hours.pass(1_000);
    expect(server.questions.map(({ request }) => request.names.length)).toEqual([16, 16, 8]);
    expect(came).toBe(1);
    expect(windows.get(wish("s0"))?.count).toBe(3);
    expect(windows.get(wish("s39"))).toBeNull();
  });

  test("is not what was out of date before it could be asked: a slider that moves asks now and then, and for where it is", async () => {
    const server = named(1);
    const hours = new Hours();
    const windows = new Windows(server.source, hours);
    const plot = (): void => undefined;
    for (let k = 1; k <= 60; k += 1) {
      windows.want(plot, [wish("s0", { smoothing: k / 100 })]);
      hours.pass(16);
      if (server.questions.length > 0) await server.questions[server.questions.length - 1]!.answer();
    }
    hours.pass(1_000);
    await server.questions[server.questions.length - 1]!.answer();
    expect(server.questions.length).toBeLessThan(17);
    expect(server.questions[server.questions.length - 1]!.request.smoothing).toBe(0.6);
    expect(windows.get(wish("s0", { smoothing: 0.6 }))).not.toBeNull();
  });

  test("is asked again after a while, and later each time, where the server does not answer; what is shown stays", async () => {
    const server = named(1);
    const hours = new Hours();
    const windows = new Windows(server.source, hours);
    windows.want(() => undefined, [wish("s0")]);
    hours.pass(10);
    for (const [k, wait] of [1_000, 2_000, 4_000].entries()) {
      await server.questions[k]!.refuse();
      hours.pass(wait - 10);
      expect(server.questions.length).toBe(k + 1);
      hours.pass(20);
      expect(server.questions.length).toBe(k + 2);
    }
  });

  test("is nothing once nobody looks, and all is asked anew after that", async () => {
    const server = named(1);
    const hours = new Hours();
    const windows = new Windows(server.source, hours);
    const plot = (): void => undefined;
    windows.want(plot, [wish("s0")]);
    windows.want(plot, []);
    hours.pass(1_000);
    expect(server.questions.length).toBe(0);
    windows.want(plot, [wish("s0")]);
    hours.pass(10);
    await server.questions[0]!.answer();
    windows.want(plot, []);
    windows.want(plot, [wish("s0")]);
    expect(windows.get(wish("s0"))).toBeNull();
  });

  test("is asked again when all series are other ones, and along epochs as points come, which do not tell theirs", async () => {
    const server = new Server([1, 2, 3]);
    server.tell(3);
    const hours = new Hours();
    const windows = new Windows(server.source, hours);
    windows.want(() => undefined, [wish("loss", { axis: "epoch" })]);
    hours.pass(10);
    await server.questions[0]!.answer();
    server.values.push(4);
    hours.pass(5_000);
    expect(server.questions.length).toBe(1);
    server.tell(1);
    hours.pass(100);
    expect(server.questions.length).toBe(2);
    await server.questions[1]!.answer();
    server.store.apply({ type: "window", id: null, seq: 9, axis: "step", buckets: {} }, 0);
    hours.pass(100);
    expect(server.questions.length).toBe(3);
  });
});

describe("a curve", () => {
  const long = new Series("loss");
  const step = Array.from({ length: 40_000 }, (_, k) => k);
  long.append({ step, time: step, value: step.map(() => 1) });
  const line = new Line(sourceWith(long), "loss");
  const ask = (change: object, seen: { min: number; max: number }): Look[] => line.wishes({ lens: { ...PLAIN, ...change }, seen, px: 1_000 }).map(({ look: asked }) => asked);

  test("needs no answer for what the page has finely enough, and asks for what it looks into", () => {
    expect(ask({}, { min: 0, max: 40_000 })).toEqual([]);
    expect(ask({ zoom: { min: 0, max: 20_000 } }, { min: 0, max: 20_000 })).toEqual([]);
    const [near] = ask({ zoom: { min: 10_000, max: 10_500 } }, { min: 10_000, max: 10_500 });
    expect(near!.x0! <= 10_000 - 64 && near!.x1! >= 10_500 + 64 && near!.x1! - near!.x0! < 1_500).toBe(true);
    expect(near!.px).toBeGreaterThanOrEqual((1_000 * (near!.x1! - near!.x0!)) / 500);
  });

  test("that is moved a little needs nothing else", () => {
    const from = (min: number): string => JSON.stringify(ask({ zoom: { min, max: min + 500 } }, { min, max: min + 500 }));
    expect(new Set(Array.from({ length: 60 }, (_, k) => from(10_000 + k))).size).toBeLessThanOrEqual(3);
  });

  test("asks for its beginning in parts on a logarithmic axis", () => {
    const looks = ask({ logX: true }, { min: 1, max: 40_000 });
    expect(looks.map(({ x1 }) => x1)).toEqual([128, 2_048, null]);
  });
});
