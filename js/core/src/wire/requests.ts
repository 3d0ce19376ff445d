// Questions to the server over a job's connection, each with a number, and their answers.

import { windowMessage, type Frame, type WindowFrame, type WindowRequest } from "./frames";
import type { Link } from "./transport";

export const ANSWER_MS = 15_000;

/** Why there is no answer; `field` names what was wrong with the question, where that is known. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly field: string | null = null,
  ) {
    super(message);
    this.name = "RequestError";
  }
}

interface Waiting {
  resolve(frame: WindowFrame): void;
  reject(error: RequestError): void;
  callOff(): void;
}

export class Requests {
  private asked = 0;
  private readonly waiting = new Map<number, Waiting>();

  constructor(private readonly after: (ms: number, task: () => void) => () => void) {}

  /** Asks for a part of some curves. Rejects with a RequestError, at once where there is no connection. */
  window(link: Link | null, request: WindowRequest): Promise<WindowFrame> {
    return new Promise((resolve, reject) => {
      if (!link) {
        reject(new RequestError("There is no connection to the server."));
        return;
      }
      this.asked += 1;
      const id = this.asked;
      const callOff = this.after(ANSWER_MS, () => this.take(id)?.reject(new RequestError("The server did not answer.")));
      this.waiting.set(id, { resolve, reject, callOff });
      link.send(windowMessage(id, request));
    });
  }

  /** Whether the frame answers a question, even one that nobody waits for any more. */
  settle(frame: Frame): boolean {
    if ((frame.type !== "window" && frame.type !== "error") || frame.id === null) return false;
    const waiting = this.take(frame.id);
    if (frame.type === "window") waiting?.resolve(frame);
    else waiting?.reject(new RequestError(frame.message, frame.field));
    return true;
  }

  /** The connection is gone, and the answers with it. */
  abandon(): void {
    for (const id of [...this.waiting.keys()]) this.take(id)?.reject(new RequestError("The connection to the server broke."));
  }

  private take(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    waiting?.callOff();
    return waiting;
  }
}
