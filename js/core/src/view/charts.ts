// All charts of a job: the losses large, every other series small below, the cursor moving through all of them.

import { Cursor } from "../chart/plot";
import { Lens } from "../data/lens";
import type { Source } from "../data/source";
import { isEnded } from "../wire/protocol";
import { chartView, type ChartView } from "./chart";
import { h, setShown } from "./dom";
import { phaseText } from "./status";

/** These come first and keep their place and colour; the rest follow as they appear. */
const SMALL = [
  { names: ["learning_rate"], color: "--tl-c" },
  { names: ["grad_norm"], color: "--tl-d" },
  { names: ["step_time_seconds", "step_time"], color: "--tl-c" },
];
const LATER = ["--tl-a", "--tl-d", "--tl-c", "--tl-b"];
/** More small charts than this are no overview any more. */
const MOST = 9;
/** These say again what the facts and the curves say, or once at the end how long it all took. */
const TOLD_ELSEWHERE = /^(loss|eval_loss|epoch|progress|eta_seconds|total_flos|samples_per_second|(train|eval)_(runtime|(samples|steps)_per_second))$/;

export interface Charts {
  main: HTMLElement;
  small: HTMLElement;
  update(): void;
  recolor(): void;
  readonly points: number;
}

export function charts(source: Source, color: (property: string) => string, signal: AbortSignal): Charts {
  const { store } = source;
  const [lens, cursor] = [new Lens(), new Cursor()];
  const losses = chartView(
    {
      main: true,
      source,
      lens,
      cursor,
      color,
      series: [
        { name: "loss", color: "--tl-a" },
        { name: "eval_loss", color: "--tl-b", marks: true },
      ],
    },
    signal,
  );
  const small = h("div", { class: "tl-small" });
  const made = new Map<string, ChartView>();

  const make = (name: string, color_name: string): void => {
    const chart = chartView({ main: false, source, lens, cursor, color, series: [{ name, color: color_name }] }, signal);
    made.set(name, chart);
    small.append(chart.element);
  };

  return {
    main: losses.element,
    small,
    get points() {
      return losses.points;
    },
    update() {
      const { job, series } = store;
      for (const [k, { names, color: property }] of SMALL.entries()) {
        const name = names.find((candidate) => series.has(candidate));
        // The first three stand from the beginning on, empty, so that nothing jumps when their points come.
        if (made.size === k) make(name ?? names[0]!, property);
      }
      for (const [name, { main }] of series) {
        // One point, like the mean loss that transformers logs at the end, is no curve.
        if (TOLD_ELSEWHERE.test(name) || made.has(name) || main.buckets.length < 2 || made.size >= MOST) continue;
        make(name, LATER[(made.size - SMALL.length) % LATER.length]!);
      }
      const ended = isEnded(job);
      const empty = ended ? "no points were recorded" : (job.status === "queued" ? "waiting its turn" : (phaseText(job) ?? (job.status ? "no points yet" : "")));
      losses.update(empty);
      for (const [name, chart] of made) {
        chart.update("");
        // Of a finished job what never came never will, and code of one's own may never log any of them.
        const expected = !ended && (job.kind ?? "finetune") === "finetune";
        setShown(chart.element, expected || series.get(name)?.span != null);
      }
    },
    recolor() {
      losses.recolor();
      for (const chart of made.values()) chart.recolor();
    },
  };
}
