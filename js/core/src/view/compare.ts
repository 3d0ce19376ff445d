// Several jobs beside one another: each metric in one chart, each job in a colour that is its own everywhere.

import type { PlotCurve } from "../chart/plot";
import { seriesTitle } from "../data/format";
import { sourceOf, type Source } from "../data/source";
import { __, _n } from "../i18n";
import type { JobChannel } from "../wire/channel";
import type { Job } from "../wire/protocol";
import { isEnded } from "../wire/protocol";
import type { Server } from "../wire/server";
import { watchJob } from "../wire/shared";
import { board, type Placed } from "./board";
import { contestants, type Contestant } from "./contestants";
import { h, setAttribute, setShown, setText } from "./dom";
import { saveCsv } from "./export";
import { groupOf, isMinor, lossNames, overviewNames } from "./groups";
import { painter } from "./painter";
import { labels, MOST_JOBS, Slots } from "./slots";
import { standings } from "./standings";
import { colorsOf, onThemeChange } from "./theme";

export interface ComparisonOptions {
  server: Server;
  /** Up to ten. */
  job_ids: readonly string[];
  signal: AbortSignal;
  /** Opens one of the jobs by itself. */
  openJob?: (job: Job) => void;
  /** Told whenever jobs were added or taken out. */
  changed?: (job_ids: readonly string[]) => void;
}

export interface Comparison {
  /** Adds a job, unless it is there or there are ten. */
  add(job_id: string): void;
  /** The main chart as a PNG, as a data URL; null before its first point. */
  picture(): string | null;
}

interface Entry {
  channel: JobChannel;
  source: Source;
  leave(): void;
}

/** Charts with several curves need more height than those with one. */
const SMALL_HEIGHT = 130;
const TICK_MS = 1_000;

/** Puts a live comparison into `host`, until `signal` aborts. */
export function mountComparison(host: HTMLElement, { server, job_ids, signal, openJob, changed }: ComparisonOptions): Comparison {
  const entries = new Map<string, Entry>();
  const slots = new Slots();
  const section = h("section", { class: "tl tl-compare", tabindex: -1 });
  const title = h("span", { class: "tl-name" });
  const quiet = h("p", { class: "tl-trouble" }, __("Add jobs to compare them."));
  const people = contestants({
    server,
    add: (job) => change(() => join(job.job_id, job.name ?? null)),
    remove: (job_id) => change(() => part(job_id)),
    open: openJob ?? null,
    signal,
  });
  const view = board({
    color: colorsOf(section),
    height: SMALL_HEIGHT,
    name: () => __("comparison"),
    saveCsv: () => {
      for (const { source } of entries.values()) void saveCsv(server, source.job_id, source.store.job.name || source.job_id);
    },
    signal,
  });
  const result = standings();
  const body = h("div", { class: "tl-body", "data-gauges": "none" }, view.element);
  const card = h("div", { class: "tl-card" }, h("header", {}, title, h("span", { class: "tl-grow" }), view.toolbar), people.element, quiet, body, result.element);
  section.append(card);
  host.append(section);

  const ids = (): string[] => [...entries.keys()].sort((a, b) => slots.order(a, b));
  let placed: Placed[] = [];
  let shown = "";
  const draw = (): void => {
    const compared = ids().map((job_id) => entries.get(job_id)!);
    const sources = compared.map(({ source }) => source);
    const names = labels(sources.map(({ store }) => store.job));
    const all = compared.map(({ channel: { store, live } }, k): Contestant => ({ store, color: slots.take(store.job.job_id), label: names[k]!, missing: live === "missing" }));
    const now = JSON.stringify(all.map(({ store, label }) => [store.job.job_id, label, store.series.size, store.series.keys().next().value]));
    if (now !== shown) placed = placedCharts(sources, all);
    shown = now;
    setText(title, _n("Comparison of %1 job", "Comparison of %1 jobs", all.length));
    setAttribute(section, "aria-label", title.textContent);
    setAttribute(section, "data-jobs", String(all.length));
    setShown(quiet, all.length === 0);
    setShown(body, all.length > 0);
    setShown(result.element, all.length > 0);
    people.update(all);
    view.update(placed, [...entries.values()].every(({ channel }) => channel.live === "ended") ? __("no points were recorded") : __("no points yet"));
    setAttribute(section, "data-points", String(points(placed)));
    result.update(all);
  };
  const paint = painter(section, draw, signal);

  function join(job_id: string, name: string | null): void {
    if (entries.has(job_id) || entries.size >= MOST_JOBS) return;
    const leaving = new AbortController();
    const channel = watchJob(server, job_id, name, AbortSignal.any([signal, leaving.signal]));
    const undo = [channel.store.subscribe(paint), channel.subscribe(paint)];
    const leave = (): void => {
      for (const stop of undo) stop();
      leaving.abort();
    };
    slots.take(job_id);
    entries.set(job_id, { channel, source: sourceOf(channel, server), leave });
  }
  function part(job_id: string): void {
    entries.get(job_id)?.leave();
    entries.delete(job_id);
    slots.free(job_id);
  }
  function change(work: () => void): void {
    work();
    draw();
    changed?.(ids());
  }

  for (const job_id of job_ids) join(job_id, null);
  // What a job waits for grows older by itself.
  const ticking = setInterval(() => {
    if ([...entries.values()].some(({ source }) => !isEnded(source.store.job))) paint();
  }, TICK_MS);
  onThemeChange(() => view.recolor(), signal);
  signal.addEventListener(
    "abort",
    () => {
      clearInterval(ticking);
      for (const job_id of [...entries.keys()]) part(job_id);
      section.remove();
    },
    { once: true },
  );
  draw();
  return {
    add: (job_id) => change(() => join(job_id, null)),
    picture() {
      return view.main?.picture(title.textContent ?? "") ?? null;
    },
  };
}

/** One chart for each metric that any of the jobs has, with a curve for each job that has it. */
function placedCharts(sources: readonly Source[], all: readonly Contestant[]): Placed[] {
  const names = [...new Set(sources.flatMap(({ store }) => [...store.series.keys()]))];
  const has = (name: string): boolean => names.includes(name);
  const losses = lossNames(has);
  const main = losses.length > 0 ? losses : names.filter((name) => !isMinor(name, has)).slice(0, 1);
  const overview = overviewNames(has);
  const rest = names.filter((name) => !main.includes(name) && !overview.includes(name));
  return [...(main.length > 0 ? main : ["loss"]), ...overview.filter(has), ...rest].map((name): Placed => {
    const curves = sources.flatMap((source, k): PlotCurve[] => {
      const { color, label, store } = all[k]!;
      return store.series.has(name) ? [{ source, name, label, color, points: groupOf(name) === "eval" }] : [];
    });
    const large = main.includes(name) || main.length === 0;
    return { key: name, title: seriesTitle(name), curves, main: large, legend: false, group: groupOf(name), pinned: overview.includes(name), minor: isMinor(name, has) };
  });
}

/** How many points all curves of the first chart are made of. */
function points(placed: readonly Placed[]): number {
  return (placed[0]?.curves ?? []).reduce((sum, { source, name }) => sum + (source.store.series.get(name)?.main.extent.n ?? 0), 0);
}
