// A reading of the machine as gauges: what to name, say and fill. Pure, so that a past reading gives its history.

import type { Gpu, Host, System } from "../wire/protocol";
import { UNKNOWN, gigabytes } from "./format";

export interface Gauge {
  label: string;
  text: string;
  /** 0–1, or null where the machine does not say. */
  fraction: number | null;
  /** A word for a value that deserves a look, or null. */
  warning: string | null;
}

export interface GaugeGroup {
  title: string;
  detail: string;
  gauges: Gauge[];
}

const NBSP = "\u00a0";

function share(used: number | null | undefined, total: number | null | undefined): number | null {
  return used == null || !total ? null : Math.min(1, Math.max(0, used / total));
}

function memory(used: number | null | undefined, total: number | null | undefined): Gauge {
  const fraction = share(used, total);
  const warning = fraction !== null && fraction >= 0.9 ? "nearly full" : null;
  return { label: "Memory", text: gigabytes(used, total), fraction, warning };
}

function portion(label: string, value: number | null | undefined): Gauge {
  const text = value == null ? UNKNOWN : `${Math.round(value)}${NBSP}%`;
  return { label, text, fraction: share(value, 100), warning: null };
}

function power(watts: number | null | undefined, limit: number | null | undefined): string {
  if (watts == null) return UNKNOWN;
  const most = limit == null ? "" : ` / ${Math.round(limit)}`;
  return `${Math.round(watts)}${most}${NBSP}W`;
}

function gpuGroup(gpu: Gpu, scope: GaugeScope, leased: readonly string[]): GaugeGroup {
  const heat = gpu.temperature_celsius;
  const watts = gpu.power_watts;
  const limit = gpu.power_limit_watts;
  return {
    title: `GPU ${gpu.index}`,
    detail: gpuDetail(gpu, scope, leased),
    gauges: [
      portion("Utilization", gpu.utilization_percent),
      memory(gpu.memory_used_gb, gpu.memory_total_gb),
      {
        label: "Temperature",
        text: heat == null ? UNKNOWN : `${Math.round(heat)}${NBSP}°C`,
        fraction: share(heat, 100),
        warning: heat != null && heat >= 87 ? "hot" : null,
      },
      {
        label: "Power",
        text: power(watts, limit),
        fraction: share(watts, limit),
        warning: null,
      },
    ],
  };
}

/** The model and who uses it. An overview has room for one of them, and who uses it is the news. */
function gpuDetail(gpu: Gpu, scope: GaugeScope, leased: readonly string[]): string {
  const model = (gpu.name ?? "").replace(/^NVIDIA (GeForce )?/, "");
  if (scope === "overview") return gpu.used_by?.replace(/^job /, "") || model;
  const user = gpu.uuid && leased.includes(gpu.uuid) ? "this job" : gpu.used_by;
  return [model, user].filter(Boolean).join(" · ");
}

function hostGroup(host: Host): GaugeGroup {
  const cores = host.cpu_count ? `${host.cpu_count} cores` : "";
  return {
    title: "CPU and memory",
    detail: cores,
    gauges: [portion("CPU", host.cpu_percent), memory(host.memory_used_gb, host.memory_total_gb)],
  };
}

/** A job's view tells all about the GPUs, and of the host only where there is no GPU; an overview two things of each. */
export type GaugeScope = "job" | "overview";

/** `leased`: the uuids of the GPUs that the viewed job holds. */
export function gaugeGroups(system: System | null, scope: GaugeScope, leased: readonly string[] = []): GaugeGroup[] {
  const gpus = (system?.gpus ?? []).map((gpu) => gpuGroup(gpu, scope, leased));
  const host = hostGroup(system?.host ?? {});
  if (scope === "job") return gpus.length > 0 ? gpus : [host];
  return [...gpus, host].map((group) => ({ ...group, gauges: group.gauges.slice(0, 2) }));
}
