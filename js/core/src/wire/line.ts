// One way's connection at work: runs the state machine on a transport.

import { IDLE, advance, type ConnectionEvent, type ConnectionState } from "./connection";
import { parseFrame, subscribeMessage, type Frame, type WindowFrame, type WindowRequest } from "./frames";
import type { Via } from "./ladder";
import { Requests } from "./requests";
import type { Surroundings } from "./surroundings";
import type { Link, Transport } from "./transport";

/** A socket that is neither opened nor refused for so long is one that somebody in between swallowed. */
export const OPENING_MS = 12_000;
/** Where another way is live there is no hurry. */
const LEISURE = 4;

/** Whom a line works for. */
export interface Client {
  readonly job_id: string;
  /** Every frame but answers; `whole` as the transport has it. */
  take(frame: Frame, line: Line, whole: boolean): void;
  /** The state has changed; what follows from that is done afterwards. */
  turned(): void;
  /** The number behind which to go on. */
  goOn(): number;
  /** Whether the page hears of its job at all. */
  served(): boolean;
}

export class Line {
  state: ConnectionState = IDLE;
  readonly via: Via;
  private link: Link | null = null;
  private callOff: (() => void) | null = null;
  private readonly requests: Requests;

  constructor(
    private readonly client: Client,
    private readonly transport: Transport,
    private readonly world: Surroundings,
  ) {
    this.via = transport.via;
    this.requests = new Requests((ms, task) => world.after(ms, task));
  }

  window(request: WindowRequest): Promise<WindowFrame> {
    return this.requests.window(this.state.phase === "live" ? this.link : null, request);
  }

  feed(event: ConnectionEvent): void {
    const before = this.state;
    const [next, actions] = advance(before, event, this.world.random());
    this.state = next;
    if (before.phase === "opening" && next.phase !== "opening") this.still();
    if (actions[0]?.do === "drop") this.drop();
    // Before anything is asked for: whoever stood in says no more from here on.
    if (next !== before) this.client.turned();
    for (const action of actions) {
      // What was turned may have turned this line as well.
      if (this.state !== next) return;
      switch (action.do) {
        case "open":
          this.open();
          break;
        case "subscribe":
          this.link?.send(subscribeMessage(this.client.goOn(), this.world.chartPixels()));
          break;
        case "ask":
          void this.transport.ask(this.client.job_id).then((reason) => this.feed({ type: "answer", reason }));
          break;
        case "wait":
          this.callOff = this.world.after(action.ms * (this.client.served() ? LEISURE : 1), () => this.feed({ type: "timer" }));
          break;
      }
    }
  }

  private open(): void {
    this.drop();
    if (!this.transport.patient) this.callOff = this.world.after(OPENING_MS, () => this.closed());
    try {
      const link = this.transport.open(this.client.job_id, {
        message: (message, whole) => this.receive(message, whole ?? false),
        closed: () => this.closed(),
      });
      this.link = link;
    } catch {
      // A page's security policy may refuse the constructor itself; that is a refusal like any other.
      this.feed({ type: "closed" });
    }
  }

  private closed(): void {
    this.link?.drop();
    this.lost();
    this.feed({ type: "closed" });
  }

  private drop(): void {
    this.still();
    this.link?.drop();
    this.lost();
  }

  private still(): void {
    this.callOff?.();
    this.callOff = null;
  }

  private lost(): void {
    this.link = null;
    this.requests.abandon();
  }

  private receive(message: unknown, whole: boolean): void {
    const frame = parseFrame(message);
    if (!frame || this.requests.settle(frame)) return;
    this.client.take(frame, this, whole);
  }
}
