// How somebody likes to look at curves, kept by the browser for the page's next visit where it has a place for that.

import type { Axis, LensState } from "../data/lens";

export interface Preferences {
  axis: Axis;
  smoothing: number;
  /** By name of the chart: true where it was hidden or put to the top, false where it was shown or taken from there. */
  hidden: Choices;
  pinned: Choices;
  /** By name of the group. */
  folded: Choices;
}

/** What was chosen of things by name. A map: a metric may be named like what every object has. */
export type Choices = ReadonlyMap<string, boolean>;

/** What a person has not chosen, as a host's settings have it. */
export type DefaultLook = Pick<LensState, "axis" | "smoothing">;

const AXES: readonly unknown[] = ["step", "epoch", "elapsed", "clock"] satisfies Axis[];
const KEY = "jupyter_trainlive";
// The page's, not the module's: the JupyterLab extension sets it, for the widget beside it as well.
const DEFAULT = Symbol.for("jupyter_trainlive.look");
const page = globalThis as { [DEFAULT]?: DefaultLook };

/** Sets the axis and the smoothing of charts that are opened from now on, for whoever has chosen none. */
export function setDefaultLook(look: DefaultLook): void {
  page[DEFAULT] = { ...look };
}

/** The page's storage, or null where it has none: a page of opaque origin may not even ask. */
export function pageStorage(): Storage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/** What is kept, or as much of it as can be made out: it may be another version's, or anybody's. */
export function readPreferences(storage: Storage | null): Preferences {
  const kept = read(storage);
  const { axis, smoothing } = page[DEFAULT] ?? { axis: "step", smoothing: 0 };
  return {
    axis: AXES.includes(kept.axis) ? (kept.axis as Axis) : axis,
    smoothing: isSmoothing(kept.smoothing) ? kept.smoothing : smoothing,
    hidden: choices(kept.hidden),
    pinned: choices(kept.pinned),
    folded: choices(kept.folded),
  };
}

/** Keeps what has changed, and leaves what other views of the page have kept meanwhile. */
export function keepPreferences(storage: Storage | null, change: Partial<Preferences>): void {
  try {
    const plain = Object.entries(change).map(([key, value]) => [key, value instanceof Map ? [...value] : value]);
    storage?.setItem(KEY, JSON.stringify({ ...read(storage), ...Object.fromEntries(plain) }));
  } catch {
    // A full storage or a forbidden one: it is remembered until the page goes, and no more.
  }
}

function read(storage: Storage | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(storage?.getItem(KEY) ?? "{}");
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

const isSmoothing = (value: unknown): value is number => typeof value === "number" && value >= 0 && value < 1;

function choices(value: unknown): Choices {
  const entries: unknown[] = Array.isArray(value) ? value : [];
  return new Map(entries.filter((entry): entry is [string, boolean] => Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "boolean"));
}
