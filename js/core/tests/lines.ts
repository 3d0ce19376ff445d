// Curves to draw, without a server.

import type { LensState, Range } from "../src/data/lens";
import { Line } from "../src/data/line";
import type { Series } from "../src/data/series";
import type { Source } from "../src/data/source";
import { JobStore } from "../src/data/store";
import { windowsOf } from "../src/data/windows";

export const PLAIN: LensState = { axis: "step", zoom: null, smoothing: 0, logX: false, logY: false, clip: false };

/** A source that has these series, and a server that never answers. */
export function sourceWith(...all: Series[]): Source {
  const store = new JobStore("job_1");
  for (const series of all) store.series.set(series.name, series);
  return { job_id: "job_1", store, window: () => new Promise(() => undefined) };
}

/** A series as a plot draws it. */
export function lineOf(series: Series, lens: LensState = PLAIN, seen: Range | null = null): Line {
  const source = sourceWith(series);
  const line = new Line(source, series.name);
  line.resolve({ lens, seen, px: 1_000 }, [], windowsOf(source));
  return line;
}
