// One metric along an axis, of any length in bounded memory: buckets that grow wider, and what was superseded beside them.

import type { SeriesPoints, WireBucket, WireNumber } from "../wire/frames";
import { bucketOfWire, lastOf, middle, startOf, type Bucket, type Grain, type Segment } from "./bucket";
import { Curve } from "./curve";

/** More buckets than a wide screen has pixels; a curve that has more joins them in pairs. */
export const MAX_ENTRIES = 4_096;

/** The width of the finest buckets is 2 to this power: one step, or about a microsecond. */
const FINEST: Record<Grain, number> = { 1: 0, 0: -20 };

let changes = 0;

/**
 * A step is in the bucket that starts at the multiple of `width` below it, so a bucket, once the steps have passed it,
 * never changes but by being joined with its neighbour: a curve neither flickers nor loses a spike.
 *
 * Steps that go back begin a new segment. The curve is the newest one, and of the earlier ones what lies before it;
 * what it superseded is kept apart, the newest where several lie over one another. "Back" is before the last bucket:
 * within one a step that comes late is only late.
 */
export class Series {
  readonly main = new Curve();
  readonly superseded = new Curve();
  /** Every bucket is 2^level wide, in steps, seconds or epochs. */
  level: number;
  /** How many points it was given, whatever became of them. */
  count = 0;
  /** The newest value as it was sent: a loss that went NaN must read NaN. */
  last: WireNumber = null;
  /** Another number after each change, and in each series, so that a view knows whether to draw. */
  version = ++changes;
  private segment: Segment = { id: 0, from: -1 };

  constructor(
    readonly name: string,
    readonly grain: Grain = 1,
  ) {
    this.level = FINEST[grain];
  }

  /** A series as the server tells it: buckets of any width, segment by segment, which show in that they go back. */
  static of(name: string, buckets: readonly WireBucket[], grain: Grain = 1): Series {
    const series = new Series(name, grain);
    for (const { x0, x1 } of buckets) if (x1 - x0 > series.width) series.level = Math.ceil(Math.log2(x1 - x0));
    for (const wire of buckets) {
      if (series.isBack(wire.x0)) series.restartAt(wire.x0);
      series.count += wire.n;
      series.main.add(bucketOfWire(wire, series.width, series.segment));
      series.last = typeof wire.last === "string" ? wire.last : lastOf(series.main.end);
    }
    series.bound();
    return series;
  }

  get width(): number {
    return 2 ** this.level;
  }

  append({ step, time, value }: SeriesPoints): void {
    for (let i = 0; i < step.length; i += 1) {
      const at = step[i] ?? null;
      if (at !== null && this.isBack(at)) this.restartAt(at);
      this.put(at, time[i] ?? 0, value[i] ?? null);
    }
  }

  /** A point without a step goes where the one before it went. */
  put(step: number | null, time: number, value: WireNumber): void {
    const x0 = step === null ? (this.main.end?.x0 ?? 0) : startOf(step, this.width);
    this.main.addPoint(x0, time, value, this.segment);
    this.last = value;
    this.count += 1;
    this.version = ++changes;
    if (this.main.buckets.length > MAX_ENTRIES) this.bound();
  }

  /** What its newest value is, from who knows better. */
  tellLast(last: WireNumber): void {
    this.last = last;
    this.version = ++changes;
  }

  /** Whether the curve has gone further than this step. */
  isBack(step: number): boolean {
    const { end } = this.main;
    return end !== undefined && startOf(step, this.width) < end.x0;
  }

  /** Whether it has this very step or a later one; what is within its last bucket cannot be told where that is wide. */
  hasReached(step: number): boolean {
    return this.isBack(step) || (this.width === this.grain && this.main.end?.x0 === step);
  }

  /** The steps went back to this one: what stands there and behind is superseded by what follows. */
  restartAt(step: number): void {
    this.supersede(startOf(step, this.width));
  }

  /** Another series went back to this step: what stands behind it is superseded, though nothing has come for it yet. */
  cutBehind(step: number): void {
    if (!this.supersede(step + 1)) return;
    this.last = lastOf(this.main.end);
  }

  /** Where it is first and last drawn, with what was superseded; null while it is empty. */
  get span(): { min: number; max: number } | null {
    const ends = [this.main, this.superseded].flatMap(({ buckets, end }) => (end ? [buckets[0]!, end] : []));
    const at = ends.map((bucket) => this.middle(bucket));
    return at.length > 0 ? { min: Math.min(...at), max: Math.max(...at) } : null;
  }

  /** Where one of its buckets is drawn. */
  middle({ x0 }: Bucket): number {
    return middle(x0, this.width, this.grain);
  }

  private supersede(x0: number): boolean {
    const rest = this.main.cutFrom(x0);
    if (rest.length === 0) return false;
    this.segment = { id: this.segment.id + 1, from: this.main.end?.segment.id ?? -1 };
    this.superseded.cover(rest);
    this.bound();
    this.version = ++changes;
    return true;
  }

  private bound(): void {
    while (this.main.buckets.length > MAX_ENTRIES || this.superseded.buckets.length > MAX_ENTRIES) {
      this.level += 1;
      this.main.widen(this.width);
      this.superseded.widen(this.width);
    }
  }
}
