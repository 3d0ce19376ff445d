// A page of many plots that grow 30 times a second, and what that takes of its main thread. See ../plots.py.

import { Cursor, Plot } from "../../../js/core/src/chart/plot";
import { Lens, type LensState } from "../../../js/core/src/data/lens";
import { JobStore } from "../../../js/core/src/data/store";

interface Load {
  charts: number;
  points: number;
  hz: number;
  seconds: number;
  lens: Partial<LensState>;
  /** Whether a pointer moves over the first plot meanwhile. */
  hover: boolean;
}

interface Measured {
  /** Milliseconds of each update: taking in a frame, and having all plots draw. */
  updates: number[];
  /** Milliseconds from each animation frame to the next. */
  frames: number[];
}

async function measure({ charts, points, hz, seconds, lens: change, hover }: Load): Promise<Measured> {
  const store = new JobStore("job_1");
  const names = Array.from({ length: charts }, (_, k) => `series_${k}`);
  let seq = 0;
  const add = (count: number): void => {
    const step = Array.from({ length: count }, (_, k) => seq + k + 1);
    seq += count;
    const columns = { step, time: step, value: step.map((each) => 1 + Math.exp(-each / 500) + Math.random() / 4) };
    store.apply({ type: "points", seq, series: Object.fromEntries(names.map((name) => [name, columns])) }, 0);
  };
  add(points);
  const source = { job_id: "job_1", store, window: (): Promise<never> => new Promise(() => undefined) };
  const [lens, cursor] = [new Lens(change), new Cursor()];
  const style = getComputedStyle(document.querySelector(".tl")!);
  const color = (property: string): string => style.getPropertyValue(property).trim();
  const grid = document.getElementById("grid")!;
  grid.replaceChildren();
  const plots = names.map((name, k) => {
    const host = document.createElement("div");
    grid.append(host);
    const plot = new Plot(host, { lens, cursor, height: 150, labelled: true, color, hover: () => undefined });
    plot.setCurves([{ source, name, label: name, color: ["--tl-a", "--tl-b", "--tl-c", "--tl-d"][k % 4]! }]);
    plot.setVisible(true);
    return plot;
  });
  const seen: Measured = { updates: [], frames: [] };
  const end = performance.now() + seconds * 1_000;
  await new Promise<void>((resolve) => {
    let due = performance.now();
    let before = 0;
    const frame = (now: number): void => {
      if (before) seen.frames.push(now - before);
      before = now;
      if (hover) cursor.set(1 + (Math.floor(now) % seq));
      if (now >= due) {
        due = Math.max(due + 1_000 / hz, now);
        const began = performance.now();
        add(1);
        for (const plot of plots) plot.update();
        seen.updates.push(performance.now() - began);
      }
      if (now < end) requestAnimationFrame(frame);
      else resolve();
    };
    requestAnimationFrame(frame);
  });
  for (const plot of plots) plot.destroy();
  return seen;
}

Object.assign(window, { measure });
