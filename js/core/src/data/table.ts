// Several curves over one shared x, as the plot wants them, kept up to date as their ends grow.

import { middle } from "./bucket";
import { lowerBound } from "./curve";
import type { Series } from "./series";

/** Columns over one shared x. null: nothing finite (a gap); undefined: no bucket at this x (no gap). */
export interface Table {
  x: number[];
  ys: (number | null | undefined)[][];
}

/** Joins curves on the middles of their buckets. Each time only the rows are made again that may have changed. */
export class Join {
  readonly table: Table = { x: [], ys: [] };
  private seen: { series: Series; version: number; edition: number; length: number }[] = [];

  update(all: readonly Series[]): Table {
    const from = this.firstChange(all);
    const { table } = this;
    if (from === -Infinity) table.ys = all.map(() => []);
    const kept = from === -Infinity ? 0 : firstAtOrBehind(table.x, from);
    table.x.length = kept;
    for (const column of table.ys) column.length = kept;
    this.extend(all, from);
    this.seen = all.map((series) => {
      const { version, main } = series;
      return { series, version, edition: main.edition, length: main.buckets.length };
    });
    return table;
  }

  /** The x from which on rows differ; −∞ where more than ends has changed. */
  private firstChange(all: readonly Series[]): number {
    if (all.length !== this.seen.length) return -Infinity;
    let from = Infinity;
    for (const [k, series] of all.entries()) {
      const before = this.seen[k]!;
      if (before.series !== series || before.edition !== series.main.edition) return -Infinity;
      if (before.version === series.version) continue;
      const { buckets } = series.main;
      // The last one it had may have taken in more points.
      const changed = buckets[Math.max(0, before.length - 1)];
      if (changed) from = Math.min(from, middle(changed, series.width));
    }
    return from;
  }

  private extend(all: readonly Series[], from: number): void {
    const { x, ys } = this.table;
    const columns = all.map(({ main, width }, k) => {
      const at = from === -Infinity ? 0 : lowerBound(main.buckets, from - (width - 1) / 2);
      return { buckets: main.buckets, width, y: ys[k]!, at };
    });
    for (;;) {
      let next = Infinity;
      for (const { buckets, width, at } of columns) {
        if (at < buckets.length) next = Math.min(next, middle(buckets[at]!, width));
      }
      if (next === Infinity) return;
      x.push(next);
      for (const column of columns) {
        const bucket = column.buckets[column.at];
        const here = bucket !== undefined && middle(bucket, column.width) === next;
        column.y.push(here ? bucket.last : undefined);
        if (here) column.at += 1;
      }
    }
  }
}

function firstAtOrBehind(sorted: readonly number[], x: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const between = (low + high) >> 1;
    if (sorted[between]! < x) low = between + 1;
    else high = between;
  }
  return low;
}
