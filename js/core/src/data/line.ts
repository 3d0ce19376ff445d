// What one curve of a plot is drawn from: what the page was sent of it, or as soon as they are there, finer or smoother answers.

import { averages } from "./ema";
import type { Axis, LensState, Range } from "./lens";
import { startOfJob } from "./marks";
import type { Look } from "./refined";
import { MAX_ENTRIES, type Series } from "./series";
import type { Source } from "./source";
import type { Windows, Wish } from "./windows";

/** A part of a curve and where it counts, in units of its series. */
export interface Piece {
  series: Series;
  from: number;
  until: number;
  /** The moving average at each bucket of the series; null where the buckets themselves have it, or none is wanted. */
  smoothed: readonly (number | null)[] | null;
}

/** How a plot looks at its curves. */
export interface View {
  lens: LensState;
  /** The part of the axis that is seen; null until it is known. */
  seen: Range | null;
  /** In device pixels. */
  px: number;
}

/** Buckets nearer to each other than this many device pixels are drawn as one. */
export const APART = 1.6;
/** On a logarithmic axis the beginning is asked for in parts, each so much shorter than the one before. */
const HEAD = 16;

const WIRE: Record<Axis, Look["axis"]> = { step: "step", epoch: "epoch", elapsed: "time", clock: "time" };

export class Line {
  /** In order; the last one is the curve as a whole, or of it what is seen. */
  pieces: readonly Piece[] = [];
  /** What is to be taken from the x of a bucket for its place on the axis. */
  offset = 0;
  private shown: { wish: Wish; series: Series } | null = null;
  private smoothed: { series: Series; version: number; weight: number; values: (number | null)[] } | null = null;

  constructor(
    readonly source: Source,
    readonly name: string,
  ) {}

  get store(): Series | undefined {
    return this.source.store.series.get(this.name);
  }

  get main(): Series | null {
    return this.pieces[this.pieces.length - 1]?.series ?? null;
  }

  /** Whether anything has changed since it was another text. */
  get version(): string {
    return this.pieces.map(({ series, from, until }) => `${series.version} ${from} ${until}`).join() + this.offset;
  }

  /** What it needs the server for; nothing where all points are here. */
  wishes(view: View): Wish[] {
    const { lens, seen, px } = view;
    const { store, name } = this;
    const axis = WIRE[lens.axis];
    const smoothing = lens.smoothing;
    if (!store || store.main.buckets.length === 0) return [];
    const whole: Look = { axis, x0: null, x1: null, px: rounded(px), smoothing };
    const heads = lens.logX && lens.axis !== "clock" ? this.heads(whole, seen, store) : [];
    if (axis === "step") {
      const each = seen ? ((seen.max - seen.min) / px) * APART : Infinity;
      const fine = store.width === 1 || (each >= store.width && !heads.length);
      if (fine && (smoothing === 0 || isWhole(store))) return [];
    }
    const look = lens.zoom && seen ? around(whole, { min: seen.min + this.offset, max: seen.max + this.offset }) : whole;
    return [...heads, look].map((each) => ({ name, look: each }));
  }

  /** Takes the best there is. */
  resolve(view: View, wishes: readonly Wish[], windows: Windows): void {
    const { lens } = view;
    const wish = wishes[wishes.length - 1];
    const series = wish ? this.best(view, wish, windows) : lens.axis === "step" ? (this.store ?? null) : null;
    if (!series) {
      this.pieces = [];
      return;
    }
    this.offset = lens.axis === "elapsed" ? (startOfJob(this.source.store.job) ?? series.main.buckets[0]?.x0 ?? 0) : 0;
    const told = wish !== undefined && windows.get(wish) === series;
    const pieces: Piece[] = [];
    let from = -Infinity;
    for (const head of wishes.slice(0, -1)) {
      const fine = windows.get(head);
      if (!fine) continue;
      const until = head.look.x1!;
      pieces.push({ series: fine, from, until, smoothed: null });
      from = until;
    }
    pieces.push({ series, from, until: Infinity, smoothed: lens.smoothing > 0 && !told ? this.averaged(series, lens.smoothing) : null });
    this.pieces = pieces;
  }

  private best({ lens, seen }: View, wish: Wish, windows: Windows): Series | null {
    const answer = windows.get(wish);
    if (answer) {
      this.shown = { wish, series: answer };
      return answer;
    }
    const { store, shown } = this;
    // Until it comes: what was shown last if it is all there, else how the curve is as a whole.
    if (shown && shown.wish.look.axis === wish.look.axis && covers(shown.wish.look, seen, this.offset)) return shown.series;
    const whole = windows.get({ name: wish.name, look: { ...wish.look, x0: null, x1: null, px: rounded(wish.look.px) } });
    return whole ?? (lens.axis === "step" ? (store ?? null) : null);
  }

  private heads(whole: Look, seen: Range | null, store: Series): Look[] {
    const { offset } = this;
    const end = seen?.max ?? store.span?.max ?? 0;
    // Steps are as fine as they can be where there are no more of them than buckets in an answer.
    const least = whole.axis === "step" ? whole.px / 5 / HEAD : Math.max(seen?.min ?? 0, end / MAX_ENTRIES);
    const heads: Look[] = [];
    for (let cut = 2 ** Math.floor(Math.log2(Math.max(end, Number.MIN_VALUE))) / HEAD; cut > least && heads.length < 5; cut /= HEAD) {
      heads.unshift({ ...whole, x1: cut + offset, px: rounded(whole.px / 2) });
    }
    return heads;
  }

  private averaged(series: Series, weight: number): readonly (number | null)[] {
    const { smoothed } = this;
    if (smoothed?.series === series && smoothed.version === series.version && smoothed.weight === weight) return smoothed.values;
    const values = averages(series.main.buckets, weight);
    this.smoothed = { series, version: series.version, weight, values };
    return values;
  }
}

/** Whether each point of the curve is there by itself, so that its moving average can be told without the server. */
function isWhole({ width, main }: Series): boolean {
  return width === 1 && main.extent.n === main.buckets.length;
}

/** A part with some room on either side, so that a little further nothing need be asked for. */
function around(whole: Look, { min, max }: Range): Look {
  const span = max - min;
  const unit = 2 ** Math.floor(Math.log2(span / 4));
  const [x0, x1] = [(Math.floor(min / unit) - 1) * unit, (Math.ceil(max / unit) + 1) * unit];
  return { ...whole, x0, x1, px: rounded((whole.px * (x1 - x0)) / span) };
}

function covers({ x0, x1 }: Look, seen: Range | null, offset: number): boolean {
  if (!seen) return x0 === null && x1 === null;
  return (x0 === null || x0 <= seen.min + offset) && (x1 === null || x1 >= seen.max + offset);
}

/** Plots of about the same width ask for the same. */
function rounded(px: number): number {
  return Math.min(10_000, Math.max(100, Math.ceil(px / 100) * 100));
}
