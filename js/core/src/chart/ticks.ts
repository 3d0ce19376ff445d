// Where the lines of a grid stand, and what is written at them. Pure.

import { __ } from "../i18n";
import { duration, tick } from "../data/format";
import type { Axis, Range } from "../data/lens";

export interface Ticks {
  at: number[];
  /** What stands at each; empty where there is no room. */
  labels: string[];
}

/** Round numbers of a range, about as many as fit; `least` is the smallest distance that makes sense. */
export function linearTicks({ min, max }: Range, most: number, least = 0): number[] {
  const rough = Math.max((max - min) / Math.max(1, most), least, Number.MIN_VALUE);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough * (1 - 1e-9)) ?? 10 * power;
  return multiples(min, max, step);
}

/** What stands between the powers of ten, and how many ticks must have room between two of these for that. */
const DIGITS: readonly [number, number[]][] = [
  [8.4, [1, 2, 3, 4, 5, 6, 8]],
  [3.8, [1, 2, 3, 5]],
  [2.2, [1, 2, 5]],
  [0, [1]],
];

/** 1, 10, 100 …, with 2 and 5 and more between them where there is room; fewer where there is not. */
export function logTicks({ min, max }: Range, most: number): number[] {
  const [low, high] = [Math.log10(min), Math.log10(max)];
  const room = most / Math.max(high - low, 1e-9);
  // Within less than a decade round numbers are nearer to what one looks for.
  if (high - low < 0.7) return linearTicks({ min, max }, most).filter((value) => value > 0);
  const every = room >= 1 ? 1 : Math.ceil(1 / room);
  const digits = DIGITS.find(([least]) => room >= least)![1];
  const found: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
    if (power % every === 0) for (const digit of digits) found.push(Number(`${digit}e${power}`));
  }
  return found.filter((value) => value >= min * (1 - 1e-9) && value <= max * (1 + 1e-9));
}

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** Whole seconds, minutes, hours and days; `zone` is how far the local clock is before that of UTC, in seconds. */
export function timeTicks({ min, max }: Range, most: number, zone = 0): number[] {
  const rough = (max - min) / Math.max(1, most);
  if (rough < 1) return linearTicks({ min, max }, most);
  const step = SECONDS.find((size) => size >= rough) ?? Math.ceil(rough / 86_400) * 86_400;
  return multiples(min + zone, max + zone, step).map((at) => at - zone);
}

function multiples(min: number, max: number, step: number): number[] {
  const found: number[] = [];
  const first = Math.ceil(min / step - 1e-9);
  // Never more than anybody could read, whatever the range.
  for (let k = first; k <= max / step + 1e-9 && found.length < 1_000; k += 1) found.push(Number((k * step).toPrecision(15)));
  return found;
}

/** The grid of an axis of values. */
export function valueTicks(range: Range, most: number, log: boolean): Ticks {
  const at = log ? logTicks(range, most) : linearTicks(range, most);
  return { at, labels: numbers(at) };
}

/** The grid of the axis along which curves go. */
export function axisTicks(axis: Axis, range: Range, most: number, log: boolean): Ticks {
  if (axis === "clock") {
    const at = timeTicks(range, most, -new Date(range.min * 1000).getTimezoneOffset() * 60);
    return { at, labels: at.map((seconds) => clockText(seconds, (at[1] ?? seconds + 60) - at[0]!)) };
  }
  if (log) {
    const at = logTicks(range, most).filter((value) => axis !== "step" || Number.isInteger(value));
    return { at, labels: axis === "elapsed" ? at.map(elapsedText) : numbers(at) };
  }
  if (axis === "elapsed") {
    const at = timeTicks(range, most);
    return { at, labels: at.map(elapsedText) };
  }
  const at = linearTicks(range, most, axis === "step" ? 1 : 0);
  return { at, labels: numbers(at) };
}

function elapsedText(seconds: number): string {
  if (seconds === 0) return "0";
  return Number.isInteger(seconds) && seconds > 0 ? duration(seconds) : __("%1 s", tick(seconds));
}

function clockText(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  const midnight = date.getHours() + date.getMinutes() + date.getSeconds() === 0;
  if (midnight || step >= 86_400) return date.toLocaleDateString([], { day: "numeric", month: "short" });
  const second = step < 60 ? ("2-digit" as const) : undefined;
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second, hourCycle: "h23" });
}

/** As many digits as tell neighbours apart. */
function numbers(at: readonly number[]): string[] {
  const plain = at.map(tick);
  if (new Set(plain).size === plain.length) return plain;
  const step = Math.abs((at[1] ?? 1) - at[0]!);
  const largest = Math.max(...at.map(Math.abs));
  const digits = Math.floor(Math.log10(largest)) - Math.floor(Math.log10(step) + 1e-9) + 1;
  return at.map((value) => (value === 0 ? "0" : value.toPrecision(Math.min(15, Math.max(1, digits))).replace(/^-/, "−")));
}
