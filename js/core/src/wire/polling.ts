// The last resort, where no socket and no kernel brings frames: asking over REST now and then, and making frames of it.

import type { WireBucket } from "./frames";
import { isEnded, type Job } from "./protocol";
import { getJob, getSystem, getWindow, type Server } from "./server";
import type { Surroundings } from "./surroundings";
import { reasonOf, type LinkHandlers, type Transport } from "./transport";

export const POLL_MS = 3_000;
/** What one request may name: an address has its limits, and so has the server. */
const MOST_NAMES = 100;
const MOST_CHARACTERS = 4_000;

type World = Pick<Surroundings, "after" | "now" | "chartPixels">;

/** Its curves are pictures: each takes the place of the one before it, so that none of them need be whole. */
export function pollingTransport(server: Pick<Server, "request">, world: World): Transport {
  return {
    via: "polling",
    patient: true,
    ask: (job_id) => reasonOf(server, job_id),
    open(job_id, handlers) {
      const poll = new Poll(server, job_id, handlers, world);
      void poll.now();
      // What a subscriber asks for is what comes anyway.
      return { send: () => {}, drop: () => poll.stop() };
    },
  };
}

class Poll {
  private met = false;
  private drawn = "";
  private seq = 0;
  private stopped = false;
  private callOff: (() => void) | null = null;

  constructor(
    private readonly server: Pick<Server, "request">,
    private readonly job_id: string,
    private readonly handlers: LinkHandlers,
    private readonly world: World,
  ) {}

  stop(): void {
    this.stopped = true;
    this.callOff?.();
  }

  async now(): Promise<void> {
    const began = this.world.now();
    try {
      await this.read();
    } catch {
      if (!this.stopped) this.handlers.closed();
      return;
    }
    // A server or a line that is slow is not asked the more for it.
    const took = this.world.now() - began;
    if (!this.stopped) this.callOff = this.world.after(Math.max(POLL_MS, 5 * took), () => void this.now());
  }

  private async read(): Promise<void> {
    const { server, job_id } = this;
    const job = await getJob(server, job_id);
    const ended = isEnded(job);
    this.say(this.met ? { type: "state", seq: this.seq, job } : { type: "hello", seq: -1, job });
    this.met = true;
    if (!ended) this.say({ type: "gauges", system: await getSystem(server) });
    const counts = JSON.stringify(job.series ?? []);
    if (counts !== this.drawn) await this.draw(job);
    this.drawn = counts;
    if (ended) this.say({ type: "end", seq: this.seq, message: { ...job, completed_at: job.ended_at } });
  }

  private async draw(job: Job): Promise<void> {
    const buckets: Record<string, WireBucket[]> = {};
    const seqs: number[] = [];
    for (const names of portions((job.series ?? []).map(({ name }) => name))) {
      const request = { names, x0: null, x1: null, px: this.world.chartPixels(), axis: "step", smoothing: 0 };
      const answer = await getWindow(this.server, this.job_id, request);
      seqs.push(answer.seq);
      Object.assign(buckets, answer.buckets);
    }
    if (seqs.length === 0) return;
    this.seq = Math.max(this.seq, Math.min(...seqs));
    const part = { type: "window", id: null, seq: this.seq, axis: "step" };
    for (const [name, one] of Object.entries(buckets)) this.say({ ...part, buckets: { [name]: one } });
    this.say({ ...part, buckets: {} });
  }

  private say(frame: object): void {
    if (!this.stopped) this.handlers.message(frame);
  }
}

/** Names in portions that one request can bear; one that no request can bear is in none. */
export function portions(names: readonly string[]): string[][] {
  const all: string[][] = [];
  let room = 0;
  for (const name of names) {
    const length = encodeURIComponent(name).length;
    if (length > MOST_CHARACTERS) continue;
    const last = all[all.length - 1];
    if (last && last.length < MOST_NAMES && length <= room) last.push(name);
    else {
      all.push([name]);
      room = MOST_CHARACTERS;
    }
    room -= length;
  }
  return all;
}
