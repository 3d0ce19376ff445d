// Numbers and times as people read them. What is unknown is a dash, never a zero.

import { __ } from "../i18n";
import type { WireNumber } from "../wire/frames";

export const UNKNOWN = "–";
// Unbreakable, so that a number and its unit stay together in a narrow cell.
const NBSP = "\u00a0";

const ordinals = new Intl.PluralRules("en-US", { type: "ordinal" });
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1860 → 1,860 */
export function count(value: number | null | undefined): string {
  return value == null ? UNKNOWN : grouped.format(value);
}

/** The steps of a bucket: step 1,860 · steps 4,096–8,191 */
export function stepsText(x0: number, width: number): string {
  return width === 1 ? __("step %1", count(x0)) : __("steps %1–%2", count(x0), count(x0 + width - 1));
}

/** 1st · 2nd · 3rd · 11th */
export function ordinal(position: number): string {
  switch (ordinals.select(position)) {
    case "one":
      return __("%1st", position);
    case "two":
      return __("%1nd", position);
    case "few":
      return __("%1rd", position);
    default:
      return __("%1th", position);
  }
}

/** A metric with about four digits, the same width as its neighbours: 1.214 · 0.810 · 1.24e-4 · 12,400 · NaN */
export function metric(value: WireNumber | undefined): string {
  if (value == null) return UNKNOWN;
  if (value === "nan") return "NaN";
  if (value === "inf") return "∞";
  if (value === "-inf") return "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e7) return minus(exponent(value));
  if (size >= 1000) return minus(grouped.format(value));
  if (size < 0.1) return minus(value.toPrecision(3));
  return minus(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3));
}

function exponent(value: number): string {
  return value.toExponential(2).replace("e+", "e");
}

function minus(text: string): string {
  return text.replace(/^-/, "−");
}

/** An axis label: as short as its value allows. */
export function tick(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e7) return minus(value.toExponential().replace("e+", "e"));
  return minus(new Intl.NumberFormat("en-US", { maximumFractionDigits: 4 }).format(value));
}

export function percent(value: number | null | undefined): string {
  return value == null ? UNKNOWN : `${Math.floor(value)}${NBSP}%`;
}

/** 1.9, or 3 where nothing stands after the point. */
export function epochs(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function rate(value: number): string {
  return value >= 100 ? grouped.format(value) : value.toFixed(value >= 1 ? 1 : 2);
}

/** A short span, as of one step: 292 ms · 1.24 s */
export function span(seconds: number): string {
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)}${NBSP}ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)}${NBSP}ms`;
  return seconds < 100 ? `${seconds.toPrecision(3)}${NBSP}s` : duration(seconds);
}

/** At most two units: 45 s · 6 min 40 s · 1 h 12 min · 2 d 3 h */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units: [number, string][] = [
    [86_400, __("d")],
    [3_600, __("h")],
    [60, __("min")],
    [1, __("s")],
  ];
  const first = units.findIndex(([size]) => whole >= size);
  if (first === -1) return `0${NBSP}s`;
  const [size, unit] = units[first]!;
  const big = `${Math.floor(whole / size)}${NBSP}${unit}`;
  const next = units[first + 1];
  const rest = next ? Math.floor((whole % size) / next[0]) : 0;
  return next && rest > 0 ? `${big} ${rest}${NBSP}${next[1]}` : big;
}

/** How old something is, coarsely: seconds below a minute, then one unit. */
export function age(seconds: number): string {
  return seconds < 60 ? `${Math.floor(seconds)}${NBSP}s` : duration(seconds).split(" ")[0]!;
}

/** The time of day, with the date where that is another day. */
export function clock(iso: string, now_ms: number): string {
  const then = new Date(iso);
  if (Number.isNaN(then.getTime())) return UNKNOWN;
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (then.toDateString() === new Date(now_ms).toDateString()) return time;
  return `${then.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

export function clockSeconds(unix_seconds: number): string {
  return new Date(unix_seconds * 1000).toLocaleTimeString([], { hourCycle: "h23" });
}

/** 18.5 / 24.0 GB; whole numbers where the total is large. */
export function gigabytes(used: number | null | undefined, total: number | null | undefined): string {
  if (used == null && total == null) return UNKNOWN;
  const digits = (total ?? used ?? 0) >= 100 ? 0 : 1;
  const say = (value: number | null | undefined): string => (value == null ? UNKNOWN : value.toFixed(digits));
  return total == null ? `${say(used)}${NBSP}GB` : `${say(used)} / ${say(total)}${NBSP}GB`;
}

/** 512 B · 1.2 kB · 8.1 MB · 2.4 GB */
export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = size;
  let k = 0;
  while (value >= 999.5 && k < units.length - 1) {
    value /= 1000;
    k += 1;
  }
  return `${k > 0 && value < 99.95 ? value.toFixed(1) : Math.round(value)}${NBSP}${units[k]}`;
}

/** learning_rate → learning rate; train/accuracy stays as it is but for its underscores. */
export function seriesTitle(name: string): string {
  switch (name) {
    case "loss":
      return __("loss");
    case "eval_loss":
      return __("eval loss");
    case "learning_rate":
      return __("learning rate");
    case "grad_norm":
      return __("grad norm");
    case "step_time":
    case "step_time_seconds":
      return __("step time");
    case "samples_per_second":
      return __("samples/s");
    case "gpu_memory_allocated_gb":
      return __("GPU memory, GB");
  }
  return name.replaceAll("_", " ");
}

export function seriesValue(name: string, value: WireNumber | undefined): string {
  if (typeof value === "number" && (name === "step_time_seconds" || name === "step_time")) return span(value);
  return metric(value);
}
