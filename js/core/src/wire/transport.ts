// How frames reach a page: one interface, and its first implementation, a WebSocket straight to the server.

import { SUBPROTOCOL } from "./frames";
import { ServerError, getJob, type Server } from "./server";

/** Called from the time `open` returns until `closed`, which comes exactly once unless the link was dropped. */
export interface LinkHandlers {
  message(text: unknown): void;
  closed(): void;
}

export interface Link {
  send(text: string): void;
  /** No handler is called afterwards. */
  drop(): void;
}

/** The machine above knows nothing of sockets, so a relay through the kernel can take a socket's place. */
export interface Transport {
  open(job_id: string, handlers: LinkHandlers): Link;
  /** Why the job cannot be watched, asked after a refusal. Never rejects. */
  ask(job_id: string): Promise<"exists" | "missing" | "forbidden" | "away">;
}

export function directTransport(server: Server): Transport {
  return {
    open(job_id, handlers) {
      const socket = server.socket(`ws/training/${encodeURIComponent(job_id)}`, SUBPROTOCOL);
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
    async ask(job_id) {
      try {
        await getJob(server, job_id);
        return "exists";
      } catch (error) {
        if (!(error instanceof ServerError)) return "away";
        if (error.status === 404) return "missing";
        return error.status === 401 || error.status === 403 ? "forbidden" : "away";
      }
    },
  };
}
