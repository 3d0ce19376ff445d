// One job's connection at work: runs the state machine on a transport, feeds the store, and tells who watches.

import type { JobStore } from "../data/store";
import { IDLE, advance, type ConnectionEvent, type ConnectionState, type Live } from "./connection";
import { parseFrame, subscribeMessage, type WindowFrame, type WindowRequest } from "./frames";
import { Requests } from "./requests";
import type { Link, Transport } from "./transport";

/** What a channel needs from the world; a test hands in its own. */
export interface Surroundings {
  now(): number;
  random(): number;
  /** Runs `task` once after `ms`; the returned function calls it off. */
  after(ms: number, task: () => void): () => void;
  /** Calls `woken` when a retry has new hope; the returned function stops that. */
  onWake(woken: () => void): () => void;
  /** The width of the widest chart that there may be, in device pixels: what a long history is made for. */
  chartPixels(): number;
}

export const browser: Surroundings = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, task) {
    const id = setTimeout(task, ms);
    return () => clearTimeout(id);
  },
  onWake(woken) {
    const seen = (): void => {
      if (!document.hidden) woken();
    };
    window.addEventListener("online", woken);
    document.addEventListener("visibilitychange", seen);
    return () => {
      window.removeEventListener("online", woken);
      document.removeEventListener("visibilitychange", seen);
    };
  },
  chartPixels: () => Math.min(4_000, Math.max(600, Math.round(window.innerWidth * window.devicePixelRatio))),
};

/** How a page hears of its job: over a socket of its own, through the notebook's kernel, or by asking now and then. */
export type Via = "socket" | "kernel" | "polling";

export class JobChannel {
  private state: ConnectionState = IDLE;
  private link: Link | null = null;
  private callOff: (() => void) | null = null;
  private unwake: (() => void) | null = null;
  private heard_at: number;
  private readonly requests: Requests;
  private readonly listeners = new Set<() => void>();

  constructor(
    readonly store: JobStore,
    private readonly transport: Transport,
    private readonly world: Surroundings = browser,
  ) {
    this.heard_at = world.now();
    this.requests = new Requests((ms, task) => world.after(ms, task));
  }

  get live(): Live {
    return this.state.live;
  }

  /** How it hears, or heard last. */
  get via(): Via {
    return "socket";
  }

  /** How long ago the server was last heard, in milliseconds. */
  get silent_ms(): number {
    return this.world.now() - this.heard_at;
  }

  start(): void {
    this.unwake ??= this.world.onWake(() => this.feed({ type: "wake", silent_ms: this.silent_ms }));
    this.feed({ type: "start" });
  }

  /** Connects again where the job's end had closed the connection; otherwise nothing happens. */
  revive(): void {
    this.feed({ type: "revive" });
  }

  stop(): void {
    this.unwake?.();
    this.unwake = null;
    this.feed({ type: "stop" });
  }

  /** A part of some curves. Rejects with a RequestError where the server refuses it, is not there, or does not answer. */
  window(request: WindowRequest): Promise<WindowFrame> {
    return this.requests.window(this.state.phase === "live" ? this.link : null, request);
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private feed(event: ConnectionEvent): void {
    const before = this.state;
    const [next, actions] = advance(before, event, this.world.random());
    this.state = next;
    for (const action of actions) {
      switch (action.do) {
        case "open":
          this.open();
          break;
        case "subscribe":
          this.link?.send(subscribeMessage(this.store.points_seq, this.world.chartPixels()));
          break;
        case "ask":
          void this.transport.ask(this.store.job.job_id).then((reason) => this.feed({ type: "answer", reason }));
          break;
        case "wait":
          this.callOff = this.world.after(action.ms, () => this.feed({ type: "timer" }));
          break;
        case "drop":
          this.drop();
          break;
      }
    }
    if (next.live !== before.live) for (const listener of this.listeners) listener();
  }

  private drop(): void {
    this.callOff?.();
    this.callOff = null;
    this.link?.drop();
    this.lost();
  }

  private lost(): void {
    this.link = null;
    this.requests.abandon();
  }

  private open(): void {
    this.drop();
    try {
      this.link = this.transport.open(this.store.job.job_id, {
        message: (text) => this.receive(text),
        closed: () => {
          this.lost();
          this.feed({ type: "closed" });
        },
      });
    } catch {
      // A page's security policy may refuse the constructor itself; that is a refusal like any other.
      this.feed({ type: "closed" });
    }
  }

  private receive(text: unknown): void {
    this.heard_at = this.world.now();
    const frame = parseFrame(text);
    if (!frame || this.requests.settle(frame)) return;
    this.store.apply(frame, this.heard_at);
    if (frame.type === "hello" || frame.type === "end") this.feed({ type: frame.type });
  }
}
