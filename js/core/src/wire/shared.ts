// One connection per job and page, however many views look at it.

import { JobStore } from "../data/store";
import { JobChannel } from "./channel";
import { isEnded, type Job } from "./protocol";
import type { Server } from "./server";
import { directTransport } from "./transport";

interface Shared {
  channel: JobChannel;
  watchers: number;
  farewell: ReturnType<typeof setTimeout> | null;
}

// Hosts evaluate the widget module once per instance, so a module variable would not be shared; the page's global is.
// The number is raised when these objects change shape, as two versions of the package may meet in one page.
const KEY = Symbol.for("jupyter_trainlive");
const SHAPE = "3 ";

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

/** The job's channel, started if nobody watched yet; it is given back when `signal` aborts. */
export function watchJob(server: Server, job_id: string, name: string | null, signal: AbortSignal): JobChannel {
  const channels = registry();
  const key = keyOf(server, job_id);
  let shared = channels.get(key);
  if (!shared) {
    const channel = new JobChannel(new JobStore(job_id, name), directTransport(server));
    shared = { channel, watchers: 0, farewell: null };
    channels.set(key, shared);
    channel.start();
  }
  const held = shared;
  held.watchers += 1;
  if (held.farewell !== null) clearTimeout(held.farewell);
  held.farewell = null;
  const release = (): void => {
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
