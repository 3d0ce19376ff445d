// One connection per job and page, however many views look at it.

import { JobStore } from "../data/store";
import { JobChannel } from "./channel";
import { pollingTransport } from "./polling";
import { isEnded, type Job } from "./protocol";
import { relayTransport, type Relay } from "./relay";
import type { Server } from "./server";
import { browser } from "./surroundings";
import { directTransport, type Transport } from "./transport";

interface Shared {
  channel: JobChannel;
  /** Of the views that have a kernel behind them. */
  relays: Set<Relay>;
  watchers: number;
  farewell: ReturnType<typeof setTimeout> | null;
}

// Hosts evaluate the widget module once per instance, so a module variable would not be shared; the page's global is.
// The number is raised when these objects change shape, as two versions of the package may meet in one page.
const KEY = Symbol.for("jupyter_trainlive");
const SHAPE = "4 ";

/** A view that is moved is disposed and made anew; its connection should not notice. */
const GRACE_MS = 5_000;

function registry(): Map<string, Shared> {
  const page = globalThis as { [KEY]?: Map<string, Shared> };
  return (page[KEY] ??= new Map());
}

const keyOf = (server: Server, job_id: string): string => `${SHAPE}${server.key} ${job_id}`;

/** Connects again to the watched ones among these jobs that had ended and were resumed, by whomever. */
export function reviveWatched(server: Server, jobs: readonly Job[]): void {
  const channels = registry();
  for (const job of jobs) if (!isEnded(job)) channels.get(keyOf(server, job.job_id))?.channel.revive();
}

/** Whether the page itself cannot reach this server, as it hears of one of its jobs through the kernel alone. */
export function isRelayed(key: string): boolean {
  return [...registry()].some(([name, { channel }]) => name.startsWith(`${SHAPE}${key} `) && channel.isRelayed);
}

/** The job's channel, started if nobody watched yet; it is given back when `signal` aborts. */
export function watchJob(server: Server, job_id: string, name: string | null, signal: AbortSignal): JobChannel {
  const channels = registry();
  const key = keyOf(server, job_id);
  let shared = channels.get(key);
  if (!shared) {
    shared = share(server, new JobStore(job_id, name));
    channels.set(key, shared);
  }
  const held = shared;
  const { relay } = server;
  if (relay) held.relays.add(relay);
  if (held.watchers === 0 && held.farewell === null) held.channel.start();
  else if (relay && needsNoKernel(held.channel)) relay.enough();
  else if (relay && held.channel.live !== "live") held.channel.renew();
  held.watchers += 1;
  if (held.farewell !== null) clearTimeout(held.farewell);
  held.farewell = null;
  const release = (): void => {
    if (relay) held.relays.delete(relay);
    held.watchers -= 1;
    if (held.watchers > 0) return;
    held.farewell = setTimeout(() => {
      held.channel.stop();
      channels.delete(key);
    }, GRACE_MS);
  };
  if (signal.aborted) release();
  else signal.addEventListener("abort", release, { once: true });
  return held.channel;
}

function share(server: Server, store: JobStore): Shared {
  const { socket } = server;
  const relays = new Set<Relay>();
  const polling = pollingTransport(server, browser);
  const through_kernel = relayTransport(relays);
  // A page of Jupyter's own may show the job in a tab first, and in a notebook, which has a kernel, later.
  const transports: [Transport, ...Transport[]] = socket
    ? [directTransport(server, (path, protocol) => socket(path, protocol)), through_kernel, polling]
    : [through_kernel, polling];
  const channel = new JobChannel(store, transports);
  channel.subscribe(() => {
    if (needsNoKernel(channel)) for (const relay of relays) relay.enough();
  });
  return { channel, relays, watchers: 0, farewell: null };
}

const needsNoKernel = ({ live, via }: JobChannel): boolean => live === "ended" || (live === "live" && via === "socket");
