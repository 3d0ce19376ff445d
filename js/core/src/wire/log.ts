// Reading a job's output piece by piece: its end first, what follows as it is written, all of it when asked for. Over
// REST, which every transport carries; the socket has the curves.

import { json, jobPath, type Server } from "./server";

/** The text from `offset` up to `next_offset`, in bytes of an output that has `size` of them by now. */
export interface LogPiece {
  offset: number;
  next_offset: number;
  size: number;
  text: string;
}

export type ReadLog = (offset: number, limit: number) => Promise<LogPiece>;

export function logOf(server: Server, job_id: string): ReadLog {
  return async (offset, limit) => json<LogPiece>(await server.request(`${jobPath(job_id)}/log?offset=${offset}&limit=${limit}`));
}

/** So much of its end is read at first; so much at once; and so much in all. */
export const TAIL_BYTES = 256 << 10;
const PIECE_BYTES = 1 << 20;
export const MOST_BYTES = 32 << 20;
/** How soon is looked for more after there was some, and after there was none. */
const SOON_MS = 400;
const LATE_MS = 1_000;
const AGAIN_MS = 3_000;

export interface LogListener {
  /** Everything that was said before is void: it begins anew, behind so many bytes that were not read. */
  begin(unread: number): void;
  text(text: string): void;
  /** Null once it could be read again. */
  trouble(error: unknown): void;
}

export class LogReader {
  private next: number | null = null;
  private unread = 0;
  private over = false;
  private open = false;
  private reading = false;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly read: ReadLog,
    private readonly listener: LogListener,
    /** Whether no more will be written; asked before reading. */
    private readonly ended: () => boolean,
  ) {}

  /** Follows the output while somebody looks at it. */
  show(open: boolean): void {
    this.open = open;
    if (open) this.later(0);
    else this.rest();
  }

  /** A job that had ended may go on. */
  wake(): void {
    if (this.over && !this.ended()) this.over = false;
    if (this.open && !this.over && this.timer === null && !this.reading) this.later(0);
  }

  /** Begins anew from the first byte, or as far back as there is room for. Resolves once all of it is there. */
  async readAll(): Promise<void> {
    while (this.reading) await new Promise((resolve) => setTimeout(resolve, 20));
    if (this.unread === 0 || this.next === null) return;
    const until = this.next;
    this.rest();
    await this.exclusively(async () => {
      const piece = await this.begin(-MOST_BYTES);
      for (let at = piece.next_offset; at < until && this.open; at = this.next!) if (!(await this.take())) break;
    });
    this.later(SOON_MS);
  }

  private rest(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private later(ms: number): void {
    this.rest();
    if (this.open && !this.over) this.timer = setTimeout(() => void this.look(), ms);
  }

  private async exclusively(work: () => Promise<void>): Promise<boolean> {
    if (this.reading) return false;
    this.reading = true;
    try {
      await work();
      this.listener.trouble(null);
      return true;
    } catch (error) {
      this.listener.trouble(error);
      return false;
    } finally {
      this.reading = false;
    }
  }

  private async look(): Promise<void> {
    this.timer = null;
    if (document.hidden) return this.later(LATE_MS);
    let more = false;
    const done = await this.exclusively(async () => {
      const ended = this.ended();
      if (this.next === null) {
        await this.begin(-TAIL_BYTES);
        more = true;
      } else more = await this.take();
      this.over = ended && !more;
    });
    this.later(done ? (more ? SOON_MS : LATE_MS) : AGAIN_MS);
  }

  private async begin(offset: number): Promise<LogPiece> {
    const piece = await this.read(offset, PIECE_BYTES);
    // What begins in the middle begins with a whole line.
    const cut = piece.offset > 0 ? piece.text.indexOf("\n") + 1 : 0;
    this.unread = piece.offset;
    this.next = piece.next_offset;
    this.listener.begin(this.unread);
    this.listener.text(piece.text.slice(cut));
    return piece;
  }

  /** Whether there was more. */
  private async take(): Promise<boolean> {
    const piece = await this.read(this.next!, PIECE_BYTES);
    if (piece.size < this.next!) {
      // It is another file now.
      await this.begin(-TAIL_BYTES);
      return true;
    }
    const more = piece.next_offset > this.next!;
    this.next = piece.next_offset;
    if (more) this.listener.text(piece.text);
    return more;
  }
}
