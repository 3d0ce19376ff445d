// The time that is left, as a person would tell it: it counts down by itself and is corrected seldom and for good, however
// the server's estimate wavers from one step to the next.

export interface Eta {
  /** What was last heard, to tell news from what is merely shown again. */
  heard: string;
  heard_ms: number;
  /** Where the mean of what was heard puts the end, and where the shown countdown has it; Unix milliseconds. */
  mean_ms: number;
  shown_ms: number;
}

/** The mean goes with so much of the time that is left, and with a few seconds at least. */
const MEMORY = 0.1;
const LEAST_MEMORY_MS = 4_000;
/** The shown end is corrected once the mean is off by so much of what is left, or by so much at least. */
const OFF = 0.12;
const LEAST_OFF_MS = 4_000;

/**
 * `heard` tells one estimate from the next, like the step it was made at. Null where nothing is known: then the next
 * estimate is shown as it is.
 */
export function settle(before: Eta | null, eta_seconds: number | null, heard: string, now_ms: number): Eta | null {
  if (eta_seconds === null) return null;
  const end = now_ms + eta_seconds * 1000;
  if (!before) return { heard, heard_ms: now_ms, mean_ms: end, shown_ms: end };
  if (before.heard === heard) return before;
  const left = Math.max(0, before.mean_ms - now_ms);
  const weight = 1 - Math.exp((before.heard_ms - now_ms) / Math.max(LEAST_MEMORY_MS, left * MEMORY));
  const mean_ms = before.mean_ms + weight * (end - before.mean_ms);
  const off = Math.abs(mean_ms - before.shown_ms) > Math.max(LEAST_OFF_MS, OFF * (mean_ms - now_ms));
  return { heard, heard_ms: now_ms, mean_ms, shown_ms: off ? mean_ms : before.shown_ms };
}

/** So long it waits at one second for what takes longer than was thought; then nobody knows. */
const OVERDUE_MS = 10_000;

/** Seconds left, or null where they are long gone and nothing new was heard. */
export function secondsLeft({ shown_ms }: Eta, now_ms: number): number | null {
  return now_ms - shown_ms > OVERDUE_MS ? null : Math.max(1, Math.round((shown_ms - now_ms) / 1000));
}
