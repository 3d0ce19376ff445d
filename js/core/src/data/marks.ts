// What happened to a training, where its curves show it: checkpoints, pauses, new beginnings, alerts.

import { __ } from "../i18n";
import type { Job, Mark } from "../wire/protocol";
import { count } from "./format";
import type { Axis } from "./lens";

export interface PlacedMark {
  kind: Mark["kind"] | "alert";
  x: number;
  /** A word or two, to stand at the mark. */
  label: string;
  /** All there is to say. */
  text: string;
}

/** The marks of a job on an axis, in order; those of which the place is not known are left out. */
export function marksOf(job: Job, axis: Axis): PlacedMark[] {
  const placed: PlacedMark[] = [];
  for (const { kind, step, time } of job.marks ?? []) {
    const x = placeOf(job, axis, step, time);
    const label = step === null ? word(kind) : `${word(kind)} ${count(step)}`;
    if (x !== null) placed.push({ kind, x, label, text: label });
  }
  for (const { message, step, time } of job.alerts ?? []) {
    const x = placeOf(job, axis, step ?? null, time ?? null);
    if (x !== null) placed.push({ kind: "alert", x, label: __("alert"), text: message });
  }
  return placed.sort((a, b) => a.x - b.x);
}

function placeOf(job: Job, axis: Axis, step: number | null, time: string | null): number | null {
  if (axis === "step") return step;
  if (axis === "epoch") return step === null ? null : finite(step * epochsPerStep(job));
  const seconds = Date.parse(time ?? "") / 1000;
  return finite(axis === "clock" ? seconds : seconds - (startOfJob(job) ?? NaN));
}

/** When it began, in Unix seconds, by which elapsed time is counted. */
export function startOfJob(job: Job): number | null {
  return finite(Date.parse(job.started_at ?? job.submitted_at ?? "") / 1000);
}

function epochsPerStep({ total_epochs, total_steps, current_epoch, current_step }: Job): number {
  return total_epochs && total_steps ? total_epochs / total_steps : (current_epoch ?? NaN) / (current_step || NaN);
}

function finite(x: number): number | null {
  return Number.isFinite(x) ? x : null;
}

function word(kind: Mark["kind"]): string {
  return { checkpoint: __("checkpoint"), paused: __("paused"), resumed: __("resumed"), restarted: __("restarted") }[kind] ?? kind;
}
