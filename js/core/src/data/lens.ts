// How all charts of one view look at their curves: along which axis, at which part of it, how smooth. Shared by them.

/** `elapsed` is in seconds since the job's start, `clock` in Unix seconds. */
export type Axis = "step" | "epoch" | "elapsed" | "clock";

export interface Range {
  min: number;
  max: number;
}

export interface LensState {
  readonly axis: Axis;
  /** In units of the axis; null: all of it. */
  readonly zoom: Range | null;
  /** The weight of the moving average, from 0 (none) to below 1. */
  readonly smoothing: number;
  readonly logX: boolean;
  readonly logY: boolean;
  /** Outliers do not stretch the scale of values. */
  readonly clip: boolean;
}

export class Lens {
  private now: LensState = { axis: "step", zoom: null, smoothing: 0, logX: false, logY: false, clip: false };
  private readonly listeners = new Set<() => void>();

  constructor(start: Partial<LensState> = {}) {
    this.now = { ...this.now, ...start };
  }

  get state(): LensState {
    return this.now;
  }

  /** On another axis the part that was looked at means nothing: it is given up, unless one comes with the change. */
  set(change: Partial<LensState>): void {
    const before = this.now;
    const turned = change.axis !== undefined && change.axis !== before.axis;
    const after = { ...before, ...(turned ? { zoom: null } : {}), ...change };
    if ((Object.keys(after) as (keyof LensState)[]).every((key) => after[key] === before[key])) return;
    this.now = after;
    for (const listener of this.listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
