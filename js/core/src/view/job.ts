// The view of one job, the same in a notebook's cell and in a JupyterLab tab.

import { sourceOf } from "../data/source";
import { shortened } from "../data/visible";
import { __ } from "../i18n";
import { askOfJob, getJob, ServerError, type Server } from "../wire/server";
import type { JobChannel } from "../wire/channel";
import { watchJob } from "../wire/shared";
import { isEnded, isReleased, type Job } from "../wire/protocol";
import { alerts, alertsPage } from "./alerts";
import { charts } from "./charts";
import { detail } from "./detail";
import { h, setAttribute, setShown, setText } from "./dom";
import { facts, progressBar } from "./facts";
import { filesPage } from "./files";
import { gaugePanel } from "./gauges";
import { header } from "./header";
import { kept } from "./kept";
import { logPage } from "./log";
import { outcome } from "./outcome";
import { painter } from "./painter";
import { settingsPage } from "./settings";
import { jobTitle, pauseText, statusWord } from "./status";
import { tabs } from "./tabs";
import { colorsOf, onThemeChange } from "./theme";

export interface JobViewOptions {
  server: Server;
  job_id: string;
  /** Shown until the server says the name itself. */
  name: string | null;
  signal: AbortSignal;
  /** Opens a console on the kernel that is kept after the job's end; left out where the page has none. */
  openConsole?: () => Promise<void>;
  /** Opens the form with the job's parameters; left out where the page has none. */
  launchAgain?: () => void;
}

export interface JobView {
  /** The main charts as a PNG's data URL; null before there is a point. */
  picture(): string | null;
}

const TICK_MS = 1_000;
/** More GPUs beside the charts would make a column that nobody sees the end of. */
const MOST_IN_COLUMN = 3;
/** When nothing has come of it, it is time to say so. */
const SILENCE_MS = 12_000;
/** Nobody can skip in what is spoken. */
const LONGEST_SPOKEN = 300;

/** Puts a live view of the job into `host`, until `signal` aborts. */
export function mountJob(host: HTMLElement, { server, job_id, name, signal, openConsole, launchAgain }: JobViewOptions): JobView {
  const channel = watchJob(server, job_id, name, signal);
  const { store } = channel;
  const section = h("section", { class: "tl", tabindex: -1 });
  const head = header(channel, async (action) => {
    try {
      const job = await askOfJob(server, job_id, action);
      channel.revive();
      return job;
    } catch (error) {
      // The job is not in the state that this page believes in, perhaps as somebody else resumed it.
      if (error instanceof ServerError && error.status === 409) channel.revive();
      throw error;
    }
  });
  const bar = progressBar(store);
  const row = facts(store);
  const news = alerts(store, () => pages.open("alerts", true));
  const why = outcome(store, () => getJob(server, job_id));
  const left = kept(store, {
    end: () => askOfJob(server, job_id, "end_kernel"),
    read: () => getJob(server, job_id),
    openConsole: openConsole ?? null,
    signal,
  });
  const color = colorsOf(section);
  const curves = charts(sourceOf(channel, server), color, signal, { server });
  const gauges = gaugePanel("job");
  const aside = h("aside", { "aria-label": __("Machine") }, gauges.element);
  const body = h("div", { class: "tl-body" }, curves.element, aside);
  const known = detail(store, server, () => paint());
  const pages = tabs(__("Views of the job"), [
    { name: "curves", label: __("Curves"), page: () => ({ element: body }) },
    { name: "log", label: __("Log"), page: () => logPage(store, server, signal) },
    { name: "files", label: __("Files"), page: () => filesPage(store, server, known) },
    { name: "settings", label: __("Settings"), page: () => settingsPage(store, known, { launchAgain: launchAgain ?? null }) },
    { name: "alerts", label: __("Alerts"), page: () => alertsPage(store) },
  ]);
  const row_of_tabs = h("div", { class: "tl-tab-row" }, pages.bar, curves.toolbar);
  const trouble = h("p", { class: "tl-trouble" });
  // Only changes of state are spoken; numbers that change every second would never let a screen reader finish.
  const spoken = h("div", { class: "tl-sr", role: "status" });
  const parts = [head, bar, row, news, why, left];
  const card = h("div", { class: "tl-card" }, spoken, ...parts.map(({ element }) => element), trouble, row_of_tabs, pages.panels);
  section.append(card);
  host.append(section);

  let said = "";
  /** Whether it was decided what a job that has ended shows first. */
  let looked = false;
  const draw = (): void => {
    const now = Date.now();
    const { job } = store;
    const ended = isEnded(job);
    const trouble_text = troubleText(channel);
    for (const part of parts) part.update(now);
    setText(trouble, trouble_text ?? "");
    setShown(trouble, trouble_text !== null);
    gauges.update(store.system, store.history, { job_id, gpus: ended || isReleased(job) ? [] : (job.gpus ?? []) });
    // A finished job has no claim on the machine; one seen ending keeps its last readings, so that nothing jumps.
    const gpus = store.system?.gpus?.length ?? 0;
    setAttribute(body, "data-gauges", ended && !store.system ? "none" : gpus > MOST_IN_COLUMN ? "below" : gpus > 1 ? "column" : "beside");
    setAttribute(aside, "data-past", ended ? "" : null);
    const there = trouble_text === null || store.series.size > 0;
    for (const element of [row_of_tabs, pages.panels, row.element]) setShown(element, there);
    // One that left no curve shows what it said instead. With the end all curves have come.
    if (channel.live === "ended" && !looked) {
      looked = true;
      if (store.series.size === 0 && pages.opened === "curves") pages.open("log");
    }
    pages.count("files", known.job?.files?.length ?? 0);
    pages.count("alerts", job.alerts?.length ?? 0, "warn");
    pages.update(now);
    curves.update(channel.live === "ended");
    setAttribute(section, "aria-label", __("Training job %1", jobTitle(job)));
    setAttribute(section, "data-points", String(curves.points));
    const state = stateText(job);
    const words = said && state !== said ? [state, ...news.fresh()] : news.fresh();
    if (words.length > 0) setText(spoken, `${jobTitle(job)}: ${words.map((each) => shortened(each, LONGEST_SPOKEN)).join(". ")}`);
    said = state;
  };

  const paint = painter(section, draw, signal);
  // Styles, tests and other extensions may read the state off the element, on screen or not.
  const request = (): void => {
    setAttribute(section, "data-status", store.job.status ?? "");
    setAttribute(section, "data-live", isEnded(store.job) && channel.live === "live" ? "ended" : channel.live);
    paint();
  };
  const undo = [store.subscribe(request), channel.subscribe(request)];
  // Durations and ages grow by themselves, until the end.
  const ticking = setInterval(() => {
    if (!isEnded(store.job)) paint();
  }, TICK_MS);
  onThemeChange(() => curves.recolor(), signal);
  signal.addEventListener(
    "abort",
    () => {
      clearInterval(ticking);
      for (const stop of undo) stop();
      section.remove();
    },
    { once: true },
  );
  request();
  draw();
  return { picture: () => curves.picture() };
}

/** A job's state as it is spoken. */
function stateText(job: Job): string {
  return job.status == null ? "" : (pauseText(job) ?? statusWord(job));
}

function troubleText({ live, via, silent_ms }: JobChannel): string | null {
  if (live === "missing") return __("This server does not know the job. It may have been deleted, or it ran on another server.");
  if (live === "forbidden") return __("You are not signed in to this server, or may not watch this job. Sign in, and come back to this page.");
  if (via === "kernel" && live.endsWith("connecting") && silent_ms > SILENCE_MS) return __("This page hears of the job through the notebook's kernel, which says nothing: it is busy, or gone.");
  return null;
}
