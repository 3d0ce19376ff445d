// Taking a frame's points into the series they belong to.

import type { SeriesPoints } from "../wire/frames";
import { Series } from "./series";

/**
 * Takes a frame's points in. A job that was `resumed` begins again from its checkpoint: where one of its series goes
 * back, what is behind is superseded in all of them, and a curve never shows two runs through one another.
 */
export function takeIn(all: Map<string, Series>, points: Record<string, SeriesPoints>, resumed: boolean): void {
  const frame = Object.entries(points).map(([name, columns]) => {
    let series = all.get(name);
    if (!series) all.set(name, (series = new Series(name)));
    return { series, columns, at: 0 };
  });
  if (!resumed) {
    for (const { series, columns } of frame) series.append(columns);
    return;
  }
  // A frame of history may hold the end of one attempt and the beginning of the next: one by one, in the order of time,
  // but each series in its own order, as a clock may have been set back.
  for (;;) {
    let next: (typeof frame)[number] | null = null;
    for (const column of frame) {
      if (column.at >= column.columns.step.length) continue;
      if (!next || timeOf(column) < timeOf(next)) next = column;
    }
    if (!next) return;
    const { series, columns } = next;
    const step = columns.step[next.at] ?? null;
    if (step !== null && series.hasReached(step)) {
      for (const other of all.values()) if (other !== series) other.cutBehind(step);
      series.restartAt(step);
    }
    series.put(step, timeOf(next), columns.value[next.at] ?? null);
    next.at += 1;
  }
}

function timeOf({ columns, at }: { columns: SeriesPoints; at: number }): number {
  return columns.time[at] ?? 0;
}
