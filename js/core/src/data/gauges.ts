// A reading of the machine as gauges: what to name, say and fill. Pure, so that a past reading gives its history.

import { __, _n } from "../i18n";
import type { Gpu, GpuShare, Host, System } from "../wire/protocol";
import { UNKNOWN, gigabytes } from "./format";

export interface Gauge {
  label: string;
  text: string;
  /** 0–1, or null where the machine does not say. */
  fraction: number | null;
  /** The viewed job's own part of that, 0–1 as well, with its words; null where it is not known. */
  own: { fraction: number; text: string } | null;
  /** A word for a value that deserves a look, or null. */
  warning: string | null;
}

export interface GaugeGroup {
  title: string;
  detail: string;
  /** Who uses it, where that is not the detail already; empty where nobody is known to. */
  user: string;
  /** Whether the viewed job holds it. */
  held: boolean;
  gauges: Gauge[];
}

/** The job that a view is of, and the uuids of the GPUs that it holds. */
export interface Viewed {
  job_id: string;
  gpus: readonly string[];
}

const NBSP = "\u00a0";

function share(used: number | null | undefined, total: number | null | undefined): number | null {
  return used == null || !total ? null : Math.min(1, Math.max(0, used / total));
}

function ownPart(used: number | null | undefined, total: number | null | undefined, text: string): Gauge["own"] {
  const fraction = share(used, total);
  return fraction === null ? null : { fraction, text: __("this job %1", text) };
}

function memory(used: number | null | undefined, total: number | null | undefined, own: number | null | undefined = null): Gauge {
  const fraction = share(used, total);
  const warning = fraction !== null && fraction >= 0.9 ? __("nearly full") : null;
  return { label: __("Memory"), text: gigabytes(used, total), fraction, own: ownPart(own, total, gigabytes(own, null)), warning };
}

const percentText = (value: number): string => `${Math.round(value)}${NBSP}%`;

function portion(label: string, value: number | null | undefined, own: number | null | undefined = null): Gauge {
  const text = value == null ? UNKNOWN : percentText(value);
  return { label, text, fraction: share(value, 100), own: ownPart(own, 100, percentText(own ?? 0)), warning: null };
}

function power(watts: number | null | undefined, limit: number | null | undefined): string {
  if (watts == null) return UNKNOWN;
  const most = limit == null ? "" : ` / ${Math.round(limit)}`;
  return `${Math.round(watts)}${most}${NBSP}W`;
}

function gpuGroup(gpu: Gpu, scope: GaugeScope, viewed: Viewed | null): GaugeGroup {
  const heat = gpu.temperature_celsius;
  const watts = gpu.power_watts;
  const limit = gpu.power_limit_watts;
  const own = gpu.jobs?.find(({ job_id }) => job_id === viewed?.job_id) ?? null;
  const held = Boolean(gpu.uuid && viewed?.gpus.includes(gpu.uuid));
  return {
    title: __("GPU %1", gpu.index),
    ...gpuDetail(gpu, scope, held || own !== null, own),
    held,
    gauges: [
      portion(__("Utilization"), gpu.utilization_percent, own?.utilization_percent),
      memory(gpu.memory_used_gb, gpu.memory_total_gb, own?.memory_used_gb),
      {
        label: __("Temperature"),
        text: heat == null ? UNKNOWN : `${Math.round(heat)}${NBSP}°C`,
        fraction: share(heat, 100),
        own: null,
        warning: heat != null && heat >= 87 ? __("hot") : null,
      },
      {
        label: __("Power"),
        text: power(watts, limit),
        fraction: share(watts, limit),
        own: null,
        warning: null,
      },
    ],
  };
}

/** The model and who uses it. An overview has room for one of them, and who uses it is the news. */
function gpuDetail(gpu: Gpu, scope: GaugeScope, ours: boolean, own: GpuShare | null): Pick<GaugeGroup, "detail" | "user"> {
  const model = (gpu.name ?? "").replace(/^NVIDIA (GeForce )?/, "");
  if (scope === "overview") return { detail: gpu.used_by?.replace(/^job /, "") || model, user: "" };
  const used = own?.memory_used_gb == null ? __("this job") : __("this job %1", gigabytes(own.memory_used_gb, null));
  return { detail: model, user: ours ? used : (gpu.used_by ?? "") };
}

function hostGroup(host: Host): GaugeGroup {
  const detail = host.cpu_count ? _n("%1 core", "%1 cores", host.cpu_count) : "";
  const gauges = [portion(__("CPU"), host.cpu_percent), memory(host.memory_used_gb, host.memory_total_gb)];
  return { title: __("CPU and memory"), detail, user: "", held: false, gauges };
}

/** A job's view tells all about the GPUs; an overview two things of each. */
export type GaugeScope = "job" | "overview";

export function gaugeGroups(system: System | null, scope: GaugeScope, viewed: Viewed | null = null): GaugeGroup[] {
  const gpus = (system?.gpus ?? []).map((gpu) => gpuGroup(gpu, scope, viewed));
  const groups = [...gpus, hostGroup(system?.host ?? {})];
  return scope === "job" ? groups : groups.map((group) => ({ ...group, gauges: group.gauges.slice(0, 2) }));
}
