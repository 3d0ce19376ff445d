// One job's connection: its ways to the server together feed one store, and tell who watches.

import type { JobStore } from "../data/store";
import type { ConnectionEvent, Live } from "./connection";
import type { Frame, WindowFrame, WindowRequest } from "./frames";
import { atWork, together, type Via } from "./ladder";
import { Line, type Client } from "./line";
import { browser, type Surroundings } from "./surroundings";
import type { Transport } from "./transport";

export class JobChannel {
  private readonly lines: readonly Line[];
  /** The one that is heard, or was last. */
  private heard: Line;
  private heard_at: number;
  private met = false;
  private stopped = false;
  private told = "";
  private unwake: (() => void) | null = null;
  private readonly listeners = new Set<() => void>();

  /** `transports`: the ways to the server, best first. Each stands in for those before it, and no longer than they fail. */
  constructor(
    readonly store: JobStore,
    transports: readonly [Transport, ...Transport[]],
    private readonly world: Surroundings = browser,
  ) {
    this.heard_at = world.now();
    const client: Client = {
      job_id: store.job.job_id,
      take: (frame, line, whole) => this.take(frame, line, whole),
      turned: () => this.turned(),
      goOn: () => store.goOn(),
      served: () => this.live === "live",
    };
    this.lines = transports.map((transport) => new Line(client, transport, world));
    this.heard = this.lines[0]!;
  }

  get live(): Live {
    return together(
      this.lines.map(({ state }) => state),
      this.met,
    );
  }

  /** How it hears, or heard last. */
  get via(): Via {
    return this.heard.via;
  }

  /** Whether the kernel is all that the page has: neither a socket nor REST reaches the server. */
  get isRelayed(): boolean {
    return this.via === "kernel" && this.live === "live" && !this.lines[0]!.state.answers;
  }

  /** How long ago the server was last heard, in milliseconds. */
  get silent_ms(): number {
    return this.world.now() - this.heard_at;
  }

  start(): void {
    this.unwake ??= this.world.onWake(() => this.wake());
    this.stopped = false;
    this.balance();
  }

  /** There is new hope for what failed. */
  wake(): void {
    this.feed({ type: "wake", silent_ms: this.silent_ms });
  }

  /** There is another kernel that may pass things on: none waits for one that says nothing. */
  renew(): void {
    for (const line of this.lines) if (line.via === "kernel" && line.state.phase !== "live") line.feed({ type: "rest" });
  }

  /** Connects again where the job's end had closed the connection; otherwise nothing happens. */
  revive(): void {
    this.feed({ type: "revive" });
  }

  stop(): void {
    this.unwake?.();
    this.unwake = null;
    this.stopped = true;
    this.feed({ type: "stop" });
  }

  /** A part of some curves. Rejects with a RequestError where the server refuses it, is not there, or does not answer. */
  window(request: WindowRequest): Promise<WindowFrame> {
    return this.heard.window(request);
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private feed(event: ConnectionEvent): void {
    for (const line of this.lines) line.feed(event);
  }

  private turned(): void {
    this.balance();
    const now = `${this.live} ${this.via}`;
    if (now === this.told) return;
    this.told = now;
    for (const listener of this.listeners) listener();
  }

  /** Starts the ways that are needed now, and stops those that are not any more. */
  private balance(): void {
    if (this.stopped) return;
    for (const [k, wanted] of atWork(this.lines).entries()) this.lines[k]!.feed({ type: wanted ? "start" : "rest" });
  }

  private take(frame: Frame, line: Line, whole: boolean): void {
    this.heard_at = this.world.now();
    if (frame.type === "hello") {
      this.met = true;
      this.heard = line;
    }
    this.store.apply(frame, this.heard_at, line.via === "polling");
    if (frame.type === "hello" && whole) this.store.startOver();
    if (frame.type === "hello" || frame.type === "end") line.feed({ type: frame.type });
  }
}
