// Through the notebook's kernel, where the page cannot reach the server itself: frames and requests in messages of the widget.
// `notebook/relay.py` is the other end. A busy kernel hears nothing, and goes on telling what it was asked for before; of a
// job that no page has asked it for yet it tells unasked.

import { __ } from "../i18n";
import { ServerError, type Server } from "./server";
import { browser, type Surroundings } from "./surroundings";
import { reasonOf, type Link, type LinkHandlers, type Transport } from "./transport";

/** The widget's model, narrowed to its messages. */
export interface Post {
  send(message: object): void;
  /** The returned function ends it. */
  listen(listener: (message: unknown, buffers?: readonly ArrayBufferView<ArrayBuffer>[]) => void): () => void;
}

/**
 * What the kernel says; `t` is its clock, in seconds. `link` is null for what nobody asked for. `k` counts, as whoever
 * stands between drops what is too much for it.
 */
type Said = { t: number } & (
  | { say: "frames"; link: number | null; first: boolean; k: number; frames: string[] }
  | { say: "closed"; link: number | null }
  | { say: "taken"; n: number }
  | { say: "answer"; n: number; k: number; status: number; content_type: string; more: boolean }
  | { say: "here"; link: number | null; first: boolean; k: number }
);

/** A kernel that was restarted, or is gone, says nothing at all; any other is heard every five seconds. */
export const SILENCE_MS = 15_000;
const REMIND_MS = 5_000;
/** Within this a request reaches a kernel that is not busy, which passes on none that is older. */
export const TAKEN_MS = 8_000;
const ANSWER_MS = 120_000;

interface Open {
  handlers: LinkHandlers;
  /** The link whose frames it hears: its own, or null; undefined before any came. And the number of the next of them. */
  hears?: number | null;
  next: number;
  heard_at: number;
  callOff(): void;
}

interface Waiting {
  readonly parts: BlobPart[];
  settle(answer: Response | Error): void;
  /** It is under way. */
  taken(): void;
}

export class Relay {
  private readonly open_links = new Map<number, Open>();
  private readonly waiting = new Map<number, Waiting>();
  private clock: { t: number; at: number } | null = null;
  private number: number;
  private readonly unlisten: () => void;
  private closed = false;

  constructor(
    private readonly post: Post,
    private readonly world: Pick<Surroundings, "after" | "now" | "random"> = browser,
  ) {
    // Another window may show the same widget: their numbers must not meet.
    this.number = Math.floor(world.random() * 2 ** 45);
    this.unlisten = post.listen((message, buffers) => this.hear(message, buffers ?? []));
  }

  /** The page needs the kernel for nothing. */
  enough(): void {
    this.send({ ask: "nothing" });
  }

  open(handlers: LinkHandlers): Link {
    this.check();
    const link = ++this.number;
    const open: Open = { handlers, next: 0, heard_at: this.world.now(), callOff: () => {} };
    this.open_links.set(link, open);
    // Asked again, as a kernel that was restarted meanwhile never got it; and a sign of life for one that did.
    const remind = (): void => {
      if (open.hears !== undefined && this.world.now() - open.heard_at > SILENCE_MS) return this.end(link);
      this.send({ ask: "frames", link });
      open.callOff = this.world.after(REMIND_MS, remind);
    };
    remind();
    return {
      send: (text) => this.send({ ask: "pass", link, text }),
      drop: () => {
        if (!this.open_links.delete(link)) return;
        open.callOff();
        this.send({ ask: "close", link });
      },
    };
  }

  /** Rejects where the kernel is too busy to pass it on; then it never does. */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    if (this.clock === null) await this.exchange({ ask: "here" });
    const { t, at } = this.clock!;
    const method = init.method ?? "GET";
    const body = typeof init.body === "string" ? init.body : null;
    return this.exchange({ ask: "request", path, method, body, at: t + (this.world.now() - at) / 1_000 }, init.signal);
  }

  /** The view is gone, or its page. */
  close(): void {
    this.closed = true;
    for (const link of [...this.open_links.keys()]) this.end(link);
    for (const { settle } of [...this.waiting.values()]) settle(new Error("The view is gone."));
    this.unlisten();
  }

  private check(): void {
    if (this.closed) throw new Error("The view is gone.");
  }

  private async exchange(message: object, signal?: AbortSignal | null): Promise<Response> {
    this.check();
    const n = ++this.number;
    return new Promise((resolve, reject) => {
      const late = (): void => settle(new ServerError(504, __("The notebook's kernel is busy, and passes nothing on. Try again when it is idle.")));
      let callOff = this.world.after(TAKEN_MS, late);
      const settle = (answer: Response | Error): void => {
        callOff();
        this.waiting.delete(n);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      const taken = (): void => {
        callOff();
        callOff = this.world.after(ANSWER_MS, late);
      };
      this.waiting.set(n, { parts: [], settle, taken });
      signal?.addEventListener("abort", () => settle(new DOMException("Aborted", "AbortError")), { once: true });
      this.send({ ...message, n });
    });
  }

  private send(message: object): void {
    this.post.send({ trainlive: 1, ...message });
  }

  private end(link: number): void {
    const open = this.open_links.get(link);
    if (!open) return;
    this.open_links.delete(link);
    open.callOff();
    this.send({ ask: "close", link });
    open.handlers.closed();
  }

  /** Whether something was lost of what a link is told, which ends it: the next one goes on behind what came. */
  private misses(link: number, said: { link: number | null; first: boolean; k: number }): boolean {
    const open = this.open_links.get(link);
    if (said.first || !open || (open.hears === said.link ? said.k === open.next : said.link !== link)) return false;
    this.end(link);
    return true;
  }

  private hear(message: unknown, buffers: readonly BlobPart[]): void {
    if (typeof message !== "object" || message === null || !("trainlive" in message)) return;
    const said = message as unknown as Said;
    const now = this.world.now();
    this.clock = { t: said.t, at: now };
    for (const open of this.open_links.values()) open.heard_at = now;
    switch (said.say) {
      case "frames":
        for (const [link, open] of [...this.open_links]) {
          if (said.link !== link && (said.link !== null || open.hears === link)) continue;
          if (said.first) {
            open.hears = said.link;
            open.next = said.k;
          }
          if (this.misses(link, said) || open.hears !== said.link) continue;
          open.next += 1;
          said.frames.forEach((frame, j) => open.handlers.message(frame, said.link === null && said.first && j === 0));
        }
        break;
      case "closed":
        for (const [link, open] of [...this.open_links]) if (said.link === link || (said.link === null && open.hears === null)) this.end(link);
        break;
      case "here":
        for (const link of [...this.open_links.keys()]) this.misses(link, said);
        break;
      case "taken":
        this.waiting.get(said.n)?.taken();
        break;
      case "answer": {
        const waiting = this.waiting.get(said.n);
        if (!waiting) return;
        waiting.taken();
        if (said.k !== waiting.parts.length) return waiting.settle(new ServerError(502, __("A part of the answer was lost on its way. Try again.")));
        waiting.parts.push(...buffers);
        const { status, content_type } = said;
        if (!said.more) waiting.settle(new Response(waiting.parts.length > 0 ? new Blob(waiting.parts) : null, { status, headers: { "Content-Type": content_type } }));
      }
    }
  }
}

/** Over the relay of whichever view is there: that one may be closed while others of the job stay. */
export function relayTransport(relays: ReadonlySet<Relay>): Transport {
  const newest = (): Relay => {
    const relay = [...relays].pop();
    if (!relay) throw new Error("No view has a kernel.");
    return relay;
  };
  return {
    via: "kernel",
    patient: true,
    open: (_job_id, handlers) => newest().open(handlers),
    ask: (job_id) => reasonOf({ request: async (path, init) => newest().request(path, init) }, job_id),
  };
}

/** The server as a notebook's output reaches it: by itself where it can (`direct`), else through the kernel. */
export function notebookServer(direct: Server | null, relay: Relay, server_path: string, isRelayed: (key: string) => boolean): Server {
  const key = direct?.key ?? `kernel ${server_path}`;
  return {
    key,
    relay,
    socket: direct?.socket ?? null,
    href: (path) => (direct && !isRelayed(key) ? direct.href(path) : null),
    async request(path, init = {}) {
      if (!direct || isRelayed(key)) return relay.request(path, init);
      return direct.request(path, init);
    },
  };
}
