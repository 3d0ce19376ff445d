// One part of a curve as the server answered it, and the points that came behind that answer.

import type { SeriesPoints, WindowFrame, WireNumber } from "../wire/frames";
import { drawable } from "./bucket";
import { Average } from "./ema";
import { Series } from "./series";
import type { JobStore } from "./store";

/** How the server looks at a curve: the part of an axis, for so many device pixels, smoothed with that weight. */
export interface Look {
  axis: "step" | "epoch" | "time";
  x0: number | null;
  x1: number | null;
  px: number;
  smoothing: number;
}

interface Heard {
  seq: number;
  points: SeriesPoints;
}

export class Refined {
  /** Null until the first answer. */
  series: Series | null = null;
  asking = false;
  /** Whether it should be asked for again. */
  stale = false;
  answered_at = -Infinity;
  /** The points that came since the question: how many of them the answer holds is not known before it is there. */
  private heard: Heard[] = [];
  private seq = 0;
  /** How many points the store had when it was asked, and how many to come the answer holds already; null where that is not known. */
  private base = 0;
  private ahead: number | null = null;
  private average: Average | null = null;

  constructor(
    readonly name: string,
    readonly look: Look,
  ) {}

  begin(store: JobStore): void {
    this.asking = true;
    this.stale = false;
    this.heard = [];
    this.base = store.series.get(this.name)?.count ?? 0;
  }

  /** There is no answer: what is shown stays as it is, until the next question. */
  fail(): void {
    this.asking = false;
    this.stale = true;
    this.heard = [];
  }

  answer(frame: WindowFrame, now: number, store: JobStore): void {
    const { look, heard } = this;
    this.asking = false;
    this.answered_at = now;
    this.seq = frame.seq;
    this.series = Series.of(this.name, frame.buckets[this.name] ?? [], look.axis === "step" ? 1 : 0);
    this.ahead = look.x0 === null && look.x1 === null ? this.series.count - this.base : null;
    this.average = this.averageBehind(store);
    this.heard = [];
    for (const { seq, points } of heard) this.put(this.unknown(seq, points));
  }

  /** Goes on with points that came; whether they are of this part at all. */
  take(seq: number, points: SeriesPoints): boolean {
    if (this.look.x1 !== null && !this.reaches(points)) return false;
    if (this.asking) this.heard.push({ seq, points });
    if (this.series) this.put(this.unknown(seq, points));
    return true;
  }

  /**
   * Those of a frame's points that the answer does not hold. They are counted where the answer tells of all points. Else the
   * frame's number must do, though an answer may have been made of half of what became a frame.
   */
  private unknown(seq: number, points: SeriesPoints): SeriesPoints {
    if (this.ahead === null) return seq > this.seq ? points : { step: [], time: [], value: [] };
    const known = Math.max(0, Math.min(this.ahead, points.value.length));
    this.ahead -= known;
    return known === 0 ? points : { step: points.step.slice(known), time: points.time.slice(known), value: points.value.slice(known) };
  }

  private reaches({ step, time }: SeriesPoints): boolean {
    const x1 = this.look.x1!;
    if (this.look.axis === "epoch") return true;
    return (this.look.axis === "step" ? step : time).some((x) => x !== null && x <= x1);
  }

  private put({ step, time, value }: SeriesPoints): void {
    const { series, look } = this;
    // Points do not say of which epoch they are.
    if (!series || look.axis === "epoch") return;
    for (let k = 0; k < value.length; k += 1) {
      const x = (look.axis === "step" ? step[k] : time[k]) ?? null;
      if (x !== null && look.x1 !== null && x > look.x1) continue;
      this.putOne(series, x, time[k] ?? 0, value[k] ?? null);
    }
  }

  private putOne(series: Series, x: number | null, time: number, value: WireNumber): void {
    if (x !== null && series.isBack(x)) {
      series.restartAt(x);
      if (this.average) this.average = new Average(this.look.smoothing);
    }
    series.put(x, time, value);
    const finite = drawable(value);
    const { end } = series.main;
    if (this.average && finite !== null && end) end.smoothed = this.average.add(finite);
  }

  /** The average as it is behind the answer: of how many points shows in the buckets, or where they begin later, in the store. */
  private averageBehind(store: JobStore): Average | null {
    const { series, look } = this;
    if (!series || look.smoothing === 0) return null;
    const { buckets } = series.main;
    const newest = [...buckets].reverse().find(({ smoothed }) => smoothed != null);
    if (newest?.smoothed == null) return new Average(look.smoothing);
    const known = look.x0 === null ? buckets.filter(({ segment }) => segment.id === newest.segment.id) : [store.series.get(this.name)?.main.extent ?? newest];
    const count = known.reduce((sum, { n, nan, inf }) => sum + n - nan - inf, 0);
    return Average.behind(look.smoothing, newest.smoothed, Math.max(1, count));
  }
}
