// How frames reach a page: one interface, and its first implementation, a WebSocket straight to the server.

import type { Reason } from "./connection";
import { SUBPROTOCOL } from "./frames";
import type { Via } from "./ladder";
import { ServerError, getJob, type Server } from "./server";

/** Called from the time `open` returns until `closed`, which comes exactly once unless the link was dropped. */
export interface LinkHandlers {
  /** A frame, as text or as the object it stands for. `whole`: a hello after which all points come, unasked. */
  message(message: unknown, whole?: boolean): void;
  closed(): void;
}

export interface Link {
  send(text: string): void;
  /** No handler is called afterwards. */
  drop(): void;
}

/** The machine above knows nothing of sockets, so the notebook's kernel, or asking now and then, can take their place. */
export interface Transport {
  readonly via: Via;
  /** Whether its links say by themselves that they can't be opened; others are given up after a while. */
  readonly patient?: boolean;
  open(job_id: string, handlers: LinkHandlers): Link;
  /** Why the job cannot be watched, asked after a refusal. Never rejects. */
  ask(job_id: string): Promise<Reason>;
}

const ASK_MS = 10_000;

/** What REST says of a job that cannot be watched. */
export async function reasonOf(server: Pick<Server, "request">, job_id: string): Promise<Reason> {
  try {
    await getJob(server, job_id, { signal: AbortSignal.timeout(ASK_MS) });
    return "exists";
  } catch (error) {
    if (!(error instanceof ServerError)) return "away";
    if (error.status === 404) return "missing";
    return error.status === 401 || error.status === 403 ? "forbidden" : "away";
  }
}

export function directTransport(server: Pick<Server, "request">, socketTo: (path: string, protocol: string) => WebSocket): Transport {
  return {
    via: "socket",
    ask: (job_id) => reasonOf(server, job_id),
    open(job_id, handlers) {
      const socket = socketTo(`ws/training/${encodeURIComponent(job_id)}`, SUBPROTOCOL);
      const listening = new AbortController();
      const { signal } = listening;
      socket.addEventListener("message", (event: MessageEvent) => handlers.message(event.data), { signal });
      socket.addEventListener("close", () => handlers.closed(), { signal });
      return {
        send: (text) => socket.send(text),
        drop() {
          listening.abort();
          socket.close(1000);
        },
      };
    },
  };
}
