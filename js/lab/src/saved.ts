// What a notebook's output keeps of a job: which one it is, and the last picture of its curves. All of it may have been
// written by anyone: it is checked, and never more than text and images.

import { isEnded, PICTURE_SCALE, type Job } from "@jupyter-trainlive/core";

export const JOB_MIME = "application/vnd.jupyter-trainlive.job+json";
export const COMPARISON_MIME = "application/vnd.jupyter-trainlive.comparison+json";
const WIDGET_MIME = "application/vnd.jupyter.widget-view+json";

const JOB_ID = /^job_[0-9a-z]{12}$/;
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;
const PNG_URL = /^data:image\/png;base64,([A-Za-z0-9+/]+={0,2})$/;
const MOST_JOBS = 10;
const LONGEST_NAME = 500;

/** An output's data or metadata. */
export type Bundle = Readonly<Record<string, unknown>>;

export interface SavedJob {
  job_id: string;
  /** Shown until the server says the name itself. */
  name: string | null;
  /** The path of the base URL of the server that it ran on; empty where that was not known. */
  server_path: string;
}

function record(value: unknown): Bundle {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bundle) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, LONGEST_NAME) : "";
}

function jobOf(value: unknown): SavedJob | null {
  const { job_id, name, server_path } = record(value);
  if (typeof job_id !== "string" || !JOB_ID.test(job_id)) return null;
  return { job_id, name: text(name) || null, server_path: text(server_path) };
}

/** The job that an output shows; null where it names none. */
export function savedJob(data: Bundle): SavedJob | null {
  return jobOf(data[JOB_MIME]);
}

/** The jobs of a comparison, each once and no more than it can show. */
export function savedComparison(data: Bundle): SavedJob[] {
  const { jobs } = record(data[COMPARISON_MIME]);
  const found = (Array.isArray(jobs) ? jobs : []).flatMap((job) => jobOf(job) ?? []);
  return [...new Map(found.map((job) => [job.job_id, job])).values()].slice(0, MOST_JOBS);
}

/** The picture that an output holds, as the address of an image: in an image nothing runs, and nothing is fetched. */
export function savedPicture(data: Bundle): string | null {
  const joined = (value: unknown): string => (Array.isArray(value) ? value.map(String).join("") : typeof value === "string" ? value : "");
  const png = joined(data["image/png"]);
  if (BASE64.test(png)) return `data:image/png;base64,${png.replace(/\s/g, "")}`;
  const svg = joined(data["image/svg+xml"]);
  return svg.trimStart().startsWith("<svg") ? `data:image/svg+xml,${encodeURIComponent(svg)}` : null;
}

/** What a picture shows, so that one that is as good is not written again: a saved notebook changes only if the job has. */
export function pictured(job: Job, points_seq: number): string {
  return isEnded(job) ? `${job.status} ${job.ended_at ?? ""}` : `record ${points_seq}`;
}

/** The data and metadata of an output. */
export interface Content {
  data: Bundle;
  metadata: Bundle;
}

/**
 * An output with a new picture; null where there is none, or the one it holds shows the same. What it takes the place of
 * goes: an older picture, and the view of a widget, which without its kernel is an error to others.
 */
export function withPicture({ data, metadata }: Content, mime: string, shows: string, draw: () => string | null): Content | null {
  if ("image/png" in data && record(metadata[mime]).picture === shows) return null;
  const png = PNG_URL.exec(draw() ?? "")?.[1];
  if (!png) return null;
  const { [WIDGET_MIME]: _view, "image/svg+xml": _older, ...kept } = data;
  return { data: { ...kept, "image/png": png }, metadata: { ...metadata, [mime]: { picture: shows }, "image/png": sizeOf(png) } };
}

/** How large a picture is meant to be seen, as hosts and nbconvert read it. The pixels are told in a PNG's first chunk. */
function sizeOf(png: string): { width: number; height: number } {
  const head = Uint8Array.from(atob(png.slice(0, 32)), (letter) => letter.charCodeAt(0));
  const at = (offset: number): number => Math.round(new DataView(head.buffer).getUint32(offset) / PICTURE_SCALE);
  return { width: at(16), height: at(20) };
}

/** An output that compares these jobs from now on; its picture is of others, until there is a new one. */
export function withJobs({ data, metadata }: Content, jobs: readonly Pick<Job, "job_id" | "name">[]): Content {
  const named = jobs.map(({ job_id, name }) => ({ job_id, name: name ?? null }));
  return { data: { ...data, [COMPARISON_MIME]: { jobs: named } }, metadata };
}
