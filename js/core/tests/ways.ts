// A server with one job, and the three ways to it, each of which a test can break: in a world where time passes when told.
import { JobStore } from "../src/data/store";
import { JobChannel } from "../src/wire/channel";
import { pollingTransport } from "../src/wire/polling";
import { Relay, relayTransport, type Post } from "../src/wire/relay";
import { directTransport } from "../src/wire/transport";
import { World } from "./world";

/** Node's, which does not wait for a clock. */
declare function setImmediate(task: (value: unknown) => void): void;

export const JOB_ID = "job_1";

export class Clock extends World {
  /** Lets time pass, and what is due happen in its order. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    await settled();
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.time = Math.max(this.time, next.at);
      next.task();
      await settled();
    }
    this.time = until;
  }
}

/** What was promised without waiting for time has come. */
export async function settled(): Promise<void> {
  for (let k = 0; k < 3; k++) await new Promise((resolve) => setImmediate(resolve));
}

/** One client of the job's socket, as the server sees it. */
class Session {
  private told: number | null = null;

  constructor(
    private readonly server: FakeServer,
    private readonly say: (frame: object) => void,
  ) {
    server.sessions.add(this);
  }
  greet(): this {
    this.say({ type: "hello", seq: this.server.points, job: this.server.job, series: [] });
    return this;
  }
  hear(text: string): void {
    const message = JSON.parse(text) as { type: string; since: number };
    if (message.type === "subscribe") this.told = message.since;
    this.tell();
  }
  tell(): void {
    if (this.told === null || this.told >= this.server.points) return;
    const step = Array.from({ length: this.server.points - this.told }, (_, k) => this.told! + k + 1);
    this.told = this.server.points;
    this.say({ type: "points", seq: this.told, series: { loss: { step, time: step, value: step } } });
  }
  end(): void {
    this.server.sessions.delete(this);
  }
}

/** A job with one series, whose record k is its step k. */
export class FakeServer {
  points = 0;
  answers = true;
  readonly sessions = new Set<Session>();
  readonly asked: string[] = [];

  get job(): object {
    return { job_id: JOB_ID, status: "running", series: [{ name: "loss", count: this.points }] };
  }
  log(points: number): void {
    this.points += points;
    for (const session of this.sessions) session.tell();
  }
  request = async (path: string): Promise<Response> => {
    if (!this.answers) throw new TypeError("Failed to fetch");
    this.asked.push(path);
    const step = Array.from({ length: this.points }, (_, k) => k + 1);
    const buckets = step.map((x) => ({ x0: x, x1: x + 1, min: x, max: x, last: x, n: 1, nan: 0, inf: 0 }));
    if (path.includes("/metrics?")) return Response.json({ seq: this.points, series: { loss: { n: this.points, buckets } } });
    return Response.json(path === "api/system" ? {} : this.job);
  };
}

/** The page's own sockets, which somebody in between may cut, and let none through. */
export class FakeSockets {
  open = true;
  readonly all = new Set<EventTarget>();

  constructor(
    private readonly server: FakeServer,
    private readonly clock: Clock,
  ) {}
  to = (): WebSocket => {
    const socket = new EventTarget();
    let session: Session | null = null;
    const close = (): void => {
      session?.end();
      this.all.delete(socket);
    };
    this.all.add(socket);
    this.clock.after(20, () => {
      if (!this.all.has(socket)) return;
      if (!this.open) return this.cut(socket);
      session = new Session(this.server, (frame) => socket.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) })));
      session.greet();
    });
    socket.addEventListener("close", close);
    return Object.assign(socket, { send: (text: string) => session?.hear(text), close }) as unknown as WebSocket;
  };
  set(open: boolean): void {
    this.open = open;
    if (!open) for (const socket of [...this.all]) this.cut(socket);
  }
  private cut(socket: EventTarget): void {
    socket.dispatchEvent(new Event("close"));
  }
}

/** `notebook/relay.py` in small: while busy it hears nothing, and tells unasked; what it says may be lost. */
export class FakeKernel implements Post {
  busy = false;
  dead = false;
  /** Of what it says, so many messages are lost from now on. */
  losing = 0;
  declined = false;
  readonly heard: { ask: string; link: number; text: string; n: number; path: string; method: string; at: number }[] = [];
  private queue: (typeof this.heard)[number][] = [];
  private readonly links = new Map<number | null, { session: Session; next(): object }>();
  private opened = 0;
  private readonly listeners = new Set<(message: unknown, buffers?: readonly ArrayBufferView<ArrayBuffer>[]) => void>();

  constructor(
    private readonly server: FakeServer,
    private readonly clock: Clock,
  ) {}
  listen(listener: (message: unknown) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  send(message: object): void {
    this.queue.push(message as (typeof this.heard)[number]);
    this.clock.after(5, () => this.work());
  }
  work(): void {
    if (!this.busy && !this.dead) for (const message of this.queue.splice(0)) this.hear(message);
  }
  set(busy: boolean): void {
    this.busy = busy;
    if (busy && !this.declined) this.cycle();
    if (busy) return;
    this.work();
    this.close(null);
  }
  /** Begins to tell unasked, or does so once more. */
  cycle(): void {
    if (!this.busy) return;
    this.links.get(null)?.session.end();
    this.openTo(null).hear(JSON.stringify({ type: "subscribe", since: 0 }));
  }
  /** The server is gone for it, or was. */
  break(): void {
    for (const link of [...this.links.keys()]) this.close(link);
  }
  private hear(message: (typeof this.heard)[number]): void {
    this.heard.push(message);
    const { ask, link, n } = message;
    if (ask === "nothing") this.declined = true;
    else if (ask === "frames" && this.links.has(link)) this.say({ say: "here", link, ...this.links.get(link)!.next() });
    else if (ask === "frames") {
      this.declined = false;
      this.openTo(link);
    } else if (ask === "pass") this.links.get(link)?.session.hear(message.text);
    else if (ask === "close") {
      this.links.get(link)?.session.end();
      this.links.delete(link);
    } else if (ask === "here") this.say({ say: "answer", n, k: 0, status: 204, content_type: "", more: false });
    else if (this.clock.now() / 1000 - message.at <= 8) {
      this.say({ say: "taken", n });
      void this.answer(n, message.path);
    }
  }
  private async answer(n: number, path: string): Promise<void> {
    const answer = await this.server.request(path).catch(() => Response.json({ message: "no server" }, { status: 502 }));
    const body = new Uint8Array(await answer.arrayBuffer());
    const half = body.length >> 1;
    const head = { say: "answer", n, status: answer.status, content_type: "application/json" };
    this.say({ ...head, k: 0, more: true }, [body.slice(0, half)]);
    this.say({ ...head, k: 1, more: false }, [body.slice(half)]);
  }
  private openTo(link: number | null): Session {
    let k = (this.opened += 1_000);
    const first = k;
    const next = (): object => ({ first: k === first, k });
    const session = new Session(this.server, (frame) => {
      this.say({ say: "frames", link, ...next(), frames: [JSON.stringify(frame)] });
      k += 1;
    });
    this.links.set(link, { session, next });
    return session.greet();
  }
  private close(link: number | null): void {
    const open = this.links.get(link);
    if (!open) return;
    open.session.end();
    this.links.delete(link);
    this.say({ say: "closed", link });
  }
  private say(message: object, buffers: Uint8Array<ArrayBuffer>[] = []): void {
    if (this.dead || this.losing-- > 0) return;
    this.losing = Math.max(0, this.losing);
    for (const listener of [...this.listeners]) listener({ trainlive: 1, t: this.clock.now() / 1000, ...message }, buffers);
  }
}

export interface Ways {
  clock: Clock;
  server: FakeServer;
  sockets: FakeSockets;
  kernel: FakeKernel;
  relay: Relay;
  store: JobStore;
  channel: JobChannel;
}

/** A page that watches the job; with `foreign` it is one that reaches the kernel alone. */
export function watching({ foreign = false } = {}): Ways {
  const clock = new Clock();
  const server = new FakeServer();
  const sockets = new FakeSockets(server, clock);
  const kernel = new FakeKernel(server, clock);
  const relay = new Relay(kernel, clock);
  const store = new JobStore(JOB_ID);
  const through_kernel = relayTransport(new Set([relay]));
  const asking = pollingTransport(foreign ? { request: (path) => relay.request(path) } : server, clock);
  const channel = new JobChannel(store, foreign ? [through_kernel, asking] : [directTransport(server, sockets.to), through_kernel, asking], clock);
  channel.start();
  return { clock, server, sockets, kernel, relay, store, channel };
}

/** The steps that a page has of the loss, each as often as it has it. */
export function stepsOf(store: JobStore): number[] {
  return (store.series.get("loss")?.main.buckets ?? []).flatMap(({ x0, n }) => Array.from({ length: n }, (_, k) => x0 + k));
}
