// All charts of one job: the losses large, every other series small below, the cursor moving through all of them.

import { seriesTitle } from "../data/format";
import type { Source } from "../data/source";
import type { PlotCurve } from "../chart/plot";
import { __ } from "../i18n";
import { isEnded } from "../wire/protocol";
import type { Server } from "../wire/server";
import { board, type Placed } from "./board";
import { ofSeries } from "./chart";
import { saveCsv } from "./export";
import { groupOf, isMinor, lossNames, overviewNames } from "./groups";
import { phaseText } from "./status";

export interface Charts {
  /** How they are looked at: smoothing, axes, and what else there is to choose. */
  toolbar: HTMLElement;
  element: HTMLElement;
  /** `arrived`: all is here that there will ever be. */
  update(arrived: boolean): void;
  recolor(): void;
  /** How many points the loss is made of. */
  readonly points: number;
  /** The main chart as a PNG, as a data URL; null before its first point. */
  picture(): string | null;
}

const SMALL_HEIGHT = 84;
/** Of those that are not losses. */
const COLORS = ["--tl-c", "--tl-d", "--tl-c", "--tl-a", "--tl-d", "--tl-c", "--tl-b"];

export function charts(source: Source, color: (property: string) => string, signal: AbortSignal, { server }: { server: Server }): Charts {
  const { store } = source;
  const name = (): string => store.job.name || store.job.job_id;
  const view = board({ color, height: SMALL_HEIGHT, name, saveCsv: () => void saveCsv(server, source.job_id, name()), signal });
  let placed: Placed[] = [];
  let shown = "";

  return {
    toolbar: view.toolbar,
    element: view.element,
    get points() {
      return store.series.get(placed[0]?.curves[0]?.name ?? "")?.main.extent.n ?? 0;
    },
    picture() {
      return view.main?.picture(name()) ?? null;
    },
    update(arrived) {
      const { job, series } = store;
      // Of a finished job what never came never will, and code of one's own may never log any of them.
      const expected = !arrived && (job.kind ?? "finetune") === "finetune";
      // Names are only ever added, but for a snapshot, which takes the place of all.
      const now = `${expected} ${series.size} ${series.keys().next().value}`;
      if (now !== shown) placed = placedCharts(source, expected);
      shown = now;
      view.update(placed, arrived ? __("no points were recorded") : isEnded(job) ? __("reading the curves…") : (phaseText(job) ?? (job.status ? __("no points yet") : "")));
    },
    recolor: view.recolor,
  };
}

/** Every series in its chart; those of the overview from the beginning on where they are expected, so that nothing jumps when they come. */
function placedCharts(source: Source, expected: boolean): Placed[] {
  const names = [...source.store.series.keys()];
  const has = (name: string): boolean => source.store.series.has(name);
  const curve = (name: string, color: string, points = false): PlotCurve => ({ source, name, label: seriesTitle(name), color, points });
  let main = lossNames(has);
  // A training that logs no loss has something else to look at.
  if (main.length === 0) main = names.filter((name) => !isMinor(name, has)).slice(0, 1);
  const losses = main.length === 0 || main[0] === "loss" || main[0] === "eval_loss" ? ["loss", "eval_loss"] : main;
  const large: Placed = {
    key: losses[0]!,
    title: losses.map(seriesTitle).join(__(" and ")),
    curves: losses.map((name, k) => curve(name, k === 0 ? "--tl-a" : "--tl-b", k > 0)),
    main: true,
    legend: true,
    group: "train",
    pinned: true,
    minor: false,
  };
  const overview = overviewNames(has);
  const others = names.filter((name) => !losses.includes(name) && !overview.includes(name));
  const small = [...overview.filter((name) => expected || has(name)), ...others].map((name, k): Placed => {
    const pinned = overview.includes(name);
    const color = COLORS[(pinned ? overview.indexOf(name) : k) % COLORS.length]!;
    return { ...ofSeries(curve(name, color, groupOf(name) === "eval")), group: groupOf(name), pinned, minor: isMinor(name, has) };
  });
  return [large, ...small];
}
