// The jobs of a comparison: each with its colour, its state and its newest loss, and a way to add another.

import { seriesTitle, seriesValue } from "../data/format";
import type { JobStore } from "../data/store";
import { __ } from "../i18n";
import type { Job } from "../wire/protocol";
import { listJobs, type Server } from "../wire/server";
import { h, setAttribute, setShown, setText } from "./dom";
import { lossNames } from "./groups";
import { menu, menuItem } from "./menu";
import { MOST_JOBS } from "./slots";
import { phaseText, statusBadge } from "./status";

export interface Contestant {
  store: JobStore;
  color: string;
  label: string;
  /** Whether the server does not know it. */
  missing: boolean;
}

export interface ContestantsOptions {
  server: Server;
  add(job: Job): void;
  remove(job_id: string): void;
  /** Opens a job by itself; null where the page has no place for that. */
  open: ((job: Job) => void) | null;
  signal: AbortSignal;
}

interface Row {
  element: HTMLElement;
  show(contestant: Contestant): void;
}

export function contestants({ server, add, remove, open, signal }: ContestantsOptions): { element: HTMLElement; update(all: readonly Contestant[]): void } {
  const list = h("ul", { class: "tl-contestants" });
  const search = h("input", { type: "search", class: "tl-search", placeholder: __("Find a job"), "aria-label": __("Find a job") });
  const found = h("div", { class: "tl-choices", role: "group", "aria-label": __("Jobs to add") });
  const picker = menu(__("Add a job"), signal, search, found);
  const button = h("button", { type: "button", class: "tl-button" }, __("Add a job…"));
  const element = h("div", { class: "tl-contest" }, list, h("div", {}, button), picker.element);
  const rows = new Map<string, Row>();
  let jobs: Job[] = [];

  const build = (): void => {
    const text = search.value.trim().toLowerCase();
    const fitting = jobs.filter(({ job_id, name }) => !rows.has(job_id) && `${name ?? ""} ${job_id}`.toLowerCase().includes(text));
    const items = fitting.map((job) => {
      const badge = statusBadge(false);
      badge.show(job);
      const item = menuItem("", () => {
        picker.close();
        add(job);
      });
      item.append(badge.element, h("span", { class: "tl-cut" }, job.name || job.job_id));
      return item;
    });
    found.replaceChildren(...(items.length > 0 ? items : [h("p", { class: "tl-dim" }, __("no other job"))]));
  };
  search.addEventListener("input", build);
  picker.attach(button, () => {
    search.value = "";
    found.replaceChildren(h("p", { class: "tl-dim" }, "…"));
    listJobs(server).then(
      (all) => {
        jobs = all;
        build();
      },
      () => found.replaceChildren(h("p", { class: "tl-dim" }, __("The server could not be reached. Try again."))),
    );
  });

  const rowOf = (job_id: string): Row => {
    const badge = statusBadge(true);
    const name = h(open ? "button" : "span", { class: open ? "tl-link tl-cut" : "tl-cut" });
    const value = h("span", { class: "tl-value" });
    const out = h("button", { type: "button", class: "tl-chart-menu tl-out" }, "×");
    const row = h("li", {}, h("i", { class: "tl-swatch", "aria-hidden": "true" }), name, badge.element, value, out);
    out.addEventListener("click", () => {
      // The row goes; leave the keyboard beside it.
      ((row.nextElementSibling ?? row.previousElementSibling)?.querySelector<HTMLElement>(".tl-out") ?? button).focus();
      remove(job_id);
    });
    let job: Job = { job_id };
    if (open) name.addEventListener("click", () => open(job));
    return {
      element: row,
      show({ store, color, label, missing }) {
        job = store.job;
        row.style.setProperty("--tl-key", `var(${color})`);
        setText(name, label);
        setAttribute(name, "title", label);
        badge.show(job);
        setShown(badge.element, !missing || job.status != null);
        const [loss] = lossNames((each) => store.series.has(each));
        const says = loss === undefined ? phaseText(job) : `${seriesTitle(loss)} ${seriesValue(loss, store.series.get(loss)!.last)}`;
        setText(value, missing ? __("not on this server") : (says ?? ""));
        setAttribute(out, "aria-label", __("Take %1 out of the comparison", label));
        setAttribute(out, "title", __("Take it out of the comparison"));
      },
    };
  };

  return {
    element,
    update(all) {
      for (const [job_id, row] of rows) {
        if (all.some(({ store }) => store.job.job_id === job_id)) continue;
        row.element.remove();
        rows.delete(job_id);
      }
      all.forEach((each, k) => {
        const { job_id } = each.store.job;
        let row = rows.get(job_id);
        if (!row) {
          rows.set(job_id, (row = rowOf(job_id)));
          list.insertBefore(row.element, list.children[k] ?? null);
        }
        row.show(each);
      });
      const full = all.length >= MOST_JOBS;
      button.disabled = full;
      setAttribute(button, "title", full ? __("%1 jobs at most can be told apart", MOST_JOBS) : null);
      setShown(list, all.length > 0);
    },
  };
}
