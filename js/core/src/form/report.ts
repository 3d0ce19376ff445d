// What a dry run found, readable at a glance: the data, the steps, what is trained, and the memory against the GPU's.

import { count, gigabytes, UNKNOWN } from "../data/format";
import { __, _n } from "../i18n";
import { h } from "../view/dom";
import type { DryRun } from "./requests";

export interface Line {
  label: string;
  text: string;
}

const about = (report: DryRun, value: number): string => (report.estimated ? __("about %1", count(value)) : count(value));

/** The facts, one a line. */
export function reportLines(report: DryRun): Line[] {
  const { rows, eval_rows, tokens, truncated_rows, unusable_rows, steps, steps_per_epoch } = report;
  const data = [_n("%2 row to learn", "%2 rows to learn", rows, about(report, rows))];
  if (eval_rows > 0) data.push(_n("%2 row to evaluate on", "%2 rows to evaluate on", eval_rows, count(eval_rows)));
  const lost: Line[] = [];
  if (truncated_rows > 0) lost.push({ label: __("Too long"), text: _n("%2 row is cut", "%2 rows are cut", truncated_rows, count(truncated_rows)) });
  if (unusable_rows > 0) lost.push({ label: __("Unusable"), text: _n("%2 row is left out", "%2 rows are left out", unusable_rows, count(unusable_rows)) });
  const share = (100 * report.trainable_parameters) / Math.max(1, report.all_parameters);
  const trained = __("%1 of %2 (%3\u00a0%)", count(report.trainable_parameters), count(report.all_parameters), Number(share.toPrecision(3)));
  return [
    { label: __("Data"), text: data.join(", ") },
    { label: __("Tokens"), text: about(report, tokens) },
    ...lost,
    { label: __("Steps"), text: __("%1, %2 an epoch", about(report, steps), count(steps_per_epoch)) },
    { label: __("Trained"), text: trained },
    { label: __("Memory"), text: memoryText(report) },
  ];
}

function memoryText({ memory_gb, gpu_memory_gb, fits }: DryRun): string {
  const needed = __("about %1", size(memory_gb.total));
  if (gpu_memory_gb == null) return __("%1; no GPU tells how much it has", needed);
  const there = gigabytes(gpu_memory_gb, null);
  if (fits == null) return __("%1 of the GPU's %2", needed, there);
  return fits ? __("%1 of the GPU's %2: it fits", needed, there) : __("%1, and the GPU has %2: it does not fit", needed, there);
}

function size(gb: number): string {
  if (!Number.isFinite(gb)) return UNKNOWN;
  return gb >= 1 ? gigabytes(gb, null) : __("%1\u00a0MB", Math.max(1, Math.round(gb * 1000)));
}

export function reportView(report: DryRun): HTMLElement {
  const list = h("dl", {}, ...reportLines(report).flatMap(({ label, text }) => [h("dt", {}, label), h("dd", {}, text)]));
  const warnings = report.warnings.map((warning) => h("li", {}, warning));
  const notes = warnings.length > 0 ? [h("ul", { class: "tl-warnings", "aria-label": __("Warnings") }, ...warnings)] : [];
  return h("div", { class: "tl-report-body" }, list, memoryView(report), ...notes);
}

/** The parts of the memory as a bar, as long as the GPU's memory or what is needed, whichever is more. */
function memoryView({ memory_gb, gpu_memory_gb, fits }: DryRun): HTMLElement {
  const parts = [
    { name: __("model"), gb: memory_gb.model, color: "--tl-a" },
    { name: __("gradients"), gb: memory_gb.gradients, color: "--tl-b" },
    { name: __("optimizer"), gb: memory_gb.optimizer, color: "--tl-c" },
    { name: __("activations"), gb: memory_gb.activations, color: "--tl-d" },
  ];
  const whole = Math.max(memory_gb.total, gpu_memory_gb ?? 0) || 1;
  const width = (gb: number): string => `${((100 * gb) / whole).toFixed(2)}%`;
  const bar = h("div", { class: "tl-memory-bar", "aria-hidden": "true" }, ...parts.map(({ gb, color }) => h("i", { style: `width: ${width(gb)}; background: var(${color})` })));
  if (fits === false && gpu_memory_gb != null) bar.append(h("b", { style: `left: ${width(gpu_memory_gb)}` }));
  const legend = parts.map(({ name, gb, color }) => h("li", {}, h("i", { style: `background: var(${color})` }), `${name} ${size(gb)}`));
  return h("div", { class: "tl-memory" }, bar, h("ul", {}, ...legend));
}
