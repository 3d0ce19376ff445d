// One metric over steps: kept sorted by step, free of what a chart cannot draw, and joined with others for drawing.

import type { SeriesPoints, WireNumber } from "../wire/protocol";

/** Finite, or null: the chart's scale breaks on infinities, and a gap is the honest picture of a NaN. */
export function drawable(value: WireNumber | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export class Series {
  readonly steps: number[] = [];
  /** Unix seconds. */
  readonly times: number[] = [];
  readonly values: (number | null)[] = [];
  /** The newest value as it was sent: a loss that went NaN must read NaN. */
  last: WireNumber = null;
  /** Grows with every change, so that a view knows whether to draw. */
  version = 0;

  constructor(readonly name: string) {}

  append(points: SeriesPoints): void {
    points.step.forEach((step, i) => this.put(step, points.time[i] ?? 0, points.value[i] ?? null));
    this.version += 1;
  }

  /** Forgets what stands behind `step`. */
  cutAfter(step: number): void {
    const length = this.indexAt(step) + 1;
    if (length === this.steps.length) return;
    for (const column of [this.steps, this.times, this.values]) column.length = length;
    this.version += 1;
  }

  /** A step seen again replaces what stood there. */
  private put(step: number, time: number, sent: WireNumber): void {
    const value = drawable(sent);
    this.last = sent;
    const end = this.steps.length;
    if (end === 0 || step > this.steps[end - 1]!) {
      this.steps.push(step);
      this.times.push(time);
      this.values.push(value);
      return;
    }
    const at = lowerBound(this.steps, step);
    const replaced = this.steps[at] === step ? 1 : 0;
    this.steps.splice(at, replaced, step);
    this.times.splice(at, replaced, time);
    this.values.splice(at, replaced, value);
  }

  /** Index of the newest point at or before `step`, -1 where there is none. */
  indexAt(step: number): number {
    const at = lowerBound(this.steps, step);
    return this.steps[at] === step ? at : at - 1;
  }
}

/**
 * Takes a frame's points in. A job that was `resumed` begins again from its checkpoint: where one of its series goes
 * back, the steps behind are undone, in all of them, and a curve never shows two runs through one another.
 */
export function takeIn(all: Map<string, Series>, points: Record<string, SeriesPoints>, resumed: boolean): void {
  const seriesOf = (name: string): Series => {
    let series = all.get(name);
    if (!series) all.set(name, (series = new Series(name)));
    return series;
  };
  if (!resumed) {
    for (const [name, columns] of Object.entries(points)) seriesOf(name).append(columns);
    return;
  }
  // A frame of history may hold the end of one attempt and the beginning of the next: one by one, in the order of time.
  const singles = Object.entries(points).flatMap(([name, { step, time, value }]) =>
    step.map((at, i) => ({ name, step: at, time: time[i] ?? 0, value: value[i] ?? null })),
  );
  singles.sort((a, b) => a.time - b.time);
  for (const { name, step, time, value } of singles) {
    const series = seriesOf(name);
    const last = series.steps[series.steps.length - 1];
    if (last !== undefined && step < last) for (const each of all.values()) each.cutAfter(step);
    series.append({ step: [step], time: [time], value: [value] });
  }
}

function lowerBound(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Columns over one shared x. null: a value that is not finite (a gap); undefined: no point at this step (no gap). */
export interface Table {
  x: number[];
  ys: (number | null | undefined)[][];
}

/** Joins series on their steps, in one pass over each. */
export function joined(all: readonly Series[]): Table {
  const only = all[0];
  if (all.length === 1 && only) return { x: only.steps, ys: [only.values] };
  const table: Table = { x: [], ys: all.map(() => []) };
  const at = all.map(() => 0);
  for (;;) {
    let step = Infinity;
    all.forEach((series, k) => {
      step = Math.min(step, series.steps[at[k]!] ?? Infinity);
    });
    if (step === Infinity) return table;
    table.x.push(step);
    all.forEach((series, k) => {
      const here = series.steps[at[k]!] === step;
      table.ys[k]!.push(here ? series.values[at[k]!] : undefined);
      if (here) at[k]! += 1;
    });
  }
}
