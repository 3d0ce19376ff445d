// Where the curves of one job come from: what the page was sent of it, and the server for what is finer.

import type { JobChannel } from "../wire/channel";
import type { WindowFrame, WindowRequest } from "../wire/frames";
import { getWindow, type Server } from "../wire/server";
import type { JobStore } from "./store";

export interface Source {
  readonly job_id: string;
  readonly store: JobStore;
  /** A part of some curves, 16 at most. Rejects where the server refuses it, is not there, or does not answer. */
  window(request: WindowRequest): Promise<WindowFrame>;
}

/** Asks over the job's connection while there is one; it is closed when the job has ended, and REST answers then. */
export function sourceOf(channel: JobChannel, server: Server): Source {
  const { store } = channel;
  const { job_id } = store.job;
  return {
    job_id,
    store,
    window: (request) => (channel.live === "live" && channel.via !== "polling" ? channel.window(request) : getWindow(server, job_id, request)),
  };
}
