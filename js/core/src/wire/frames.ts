// The frames of the `trainlive.v1` subprotocol, and what a client says.

import type { Job, System } from "./protocol";

export const SUBPROTOCOL = "trainlive.v1";

/** JSON has no NaN and no infinities, so the wire spells them out. */
export type WireNumber = number | "nan" | "inf" | "-inf" | null;

export interface SeriesPoints {
  /** null where it is not known. */
  step: (number | null)[];
  time: number[];
  value: WireNumber[];
}

export interface HelloFrame {
  type: "hello";
  seq: number;
  job: Job;
  series?: { name: string; count: number; last?: WireNumber }[];
  server_time?: string;
}
export interface PointsFrame {
  type: "points";
  seq: number;
  series: Record<string, SeriesPoints>;
}
/** What the points of a series on the steps from `x0` to before `x1` came to; `inf` counts infinities of both signs. */
export interface WireBucket {
  x0: number;
  x1: number;
  /** Of the finite values; null where there are none. */
  min: WireNumber;
  max: WireNumber;
  last: WireNumber;
  n: number;
  nan: number;
  inf: number;
  /** Counts up where the steps went back. */
  segment?: number;
  smoothed?: number | null;
}
/**
 * The answer to the request `id`. With null it is a part of a snapshot, which takes the place of raw points for a long
 * history: one frame a series, and a last one without any series, all with one `seq`.
 */
export interface WindowFrame {
  type: "window";
  id: number | null;
  seq: number;
  axis: string;
  buckets: Record<string, WireBucket[]>;
}
/** Why the request `id` has no answer. */
export interface ErrorFrame {
  type: "error";
  id: number | null;
  field: string | null;
  message: string;
}
/** Output of the job, from a byte offset on. */
export interface LogFrame {
  type: "log";
  seq: number;
  offset: number;
  text: string;
}
export interface StateFrame {
  type: "state";
  seq: number;
  job: Partial<Job>;
}
export interface GaugesFrame {
  type: "gauges";
  system: System;
}
export interface EndFrame {
  type: "end";
  seq: number;
  message?: Partial<Job> & { completed_at?: string | null };
}

export type Frame = HelloFrame | PointsFrame | WindowFrame | ErrorFrame | LogFrame | StateFrame | GaugesFrame | EndFrame;

const FRAME_TYPES: readonly string[] = ["hello", "points", "window", "error", "log", "state", "gauges", "end"];

/** The frame in a message, or null for what this version does not know: newer servers may say more. */
export function parseFrame(message: unknown): Frame | null {
  let value = message;
  try {
    if (typeof message === "string") value = JSON.parse(message);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || !("type" in value)) return null;
  return FRAME_TYPES.includes(String(value.type)) ? (value as Frame) : null;
}

/** `px`: the width that a long history is made for, in device pixels. */
export function subscribeMessage(since: number, px: number): string {
  return JSON.stringify({ type: "subscribe", since, series: "*", log: false, px });
}

/** A part of some curves, as so many pixels can show it. */
export interface WindowRequest {
  names: string[];
  x0: number | null;
  x1: number | null;
  px: number;
  axis: string;
  /** 0 for none, towards 1 for more. */
  smoothing: number;
}

export function windowMessage(id: number, request: WindowRequest): string {
  return JSON.stringify({ type: "window", id, ...request });
}
