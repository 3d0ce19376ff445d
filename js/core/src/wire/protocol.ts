// The words of the wire: jobs and machine readings.

export type Status =
  | "queued"
  | "starting"
  | "running"
  | "paused"
  | "pausing"
  | "cancelling"
  | "completed"
  | "failed"
  | "cancelled"
  | "interrupted";

/** What can be asked of a job; its `actions` name those that its state allows now. */
export type Action = "pause" | "release" | "resume" | "cancel" | "delete" | "end_kernel";

/** Something about a training that its user should know. */
export interface Alert {
  name: string;
  message: string;
  step?: number | null;
  time?: string | null;
}

/** Where something happened to a training that its curves should show. */
export interface Mark {
  kind: "checkpoint" | "paused" | "resumed" | "restarted";
  step: number | null;
  time: string | null;
}

/** A file that a job left behind; `path` is relative to the job's folder. */
export interface JobFile {
  path: string;
  size_bytes: number;
}

const ENDS: readonly string[] = ["completed", "failed", "cancelled", "interrupted"];

/** What the server says of a job. Everything but the id may be unknown (null, or not there yet). */
export interface Job {
  job_id: string;
  name?: string | null;
  kind?: string | null;
  status?: Status | null;
  /** What a running job is doing: "loading model", "training", "evaluating"… */
  phase?: string | null;
  actions?: Action[] | null;
  /** The pause in force while pausing or paused: "hold" keeps the GPU, "release" frees it. */
  pause?: "hold" | "release" | null;
  /** Its place in the queue, 1 for the next to start, and what it waits for, in words. */
  queue?: { position: number; reason: string } | null;
  /** From 1; a job that was resumed in a new process is at 2 or more. */
  attempt?: number | null;
  checkpoint_step?: number | null;
  /** The latest ones, oldest first. */
  alerts?: Alert[] | null;
  /** The newest 200, oldest first. */
  marks?: Mark[] | null;
  /** The uuids of the GPUs that were leased to it. */
  gpus?: string[] | null;
  /** Percent, 0–100. */
  progress?: number | null;
  current_epoch?: number | null;
  total_epochs?: number | null;
  current_step?: number | null;
  total_steps?: number | null;
  loss?: number | null;
  eval_loss?: number | null;
  final_loss?: number | null;
  learning_rate?: number | null;
  grad_norm?: number | null;
  samples_per_second?: number | null;
  step_time_seconds?: number | null;
  eta_seconds?: number | null;
  gpu_memory_allocated_gb?: number | null;
  submitted_at?: string | null;
  started_at?: string | null;
  ended_at?: string | null;
  /** The kernel that is kept after the end: until when, and the memory that it holds (over REST alone). */
  kept?: { until?: string | null; memory_gb?: number | null } | null;
  error?: string | null;
  hint?: string | null;
  traceback?: string | null;
  /** How its process ended; `output` is the last of what one wrote that never began its work. */
  exit?: { code?: number | null; signal?: number | null; output?: string | null } | null;
  /** What it was asked to do: its name, kind, parameters and resources. Of environment variables the names alone. */
  spec?: Record<string, unknown> | null;
  /** What it gave away by name. */
  artifacts?: string[] | null;
  /** The newest values of its loss, oldest first; only the list of jobs has them. */
  spark?: (number | null)[] | null;
  // What follows only the answer about this one job has.
  /** The last lines of the output. */
  output_tail?: string | null;
  /** In what it runs or ran: Python, packages, git, host, GPUs, seeds. */
  environment?: Record<string, unknown> | null;
  /** Its folder on the server's machine. */
  directory?: string | null;
  files?: JobFile[] | null;
  series?: { name: string; count: number }[] | null;
}

/** What of a GPU one job uses. */
export interface GpuShare {
  job_id: string;
  name: string | null;
  memory_used_gb: number | null;
  utilization_percent: number | null;
}

export interface Gpu {
  index: number;
  uuid?: string | null;
  name?: string | null;
  utilization_percent?: number | null;
  memory_used_gb?: number | null;
  memory_total_gb?: number | null;
  temperature_celsius?: number | null;
  power_watts?: number | null;
  power_limit_watts?: number | null;
  /** Who uses it, in words: "job docs-sft", "python of alice (pid 1234)". */
  used_by?: string | null;
  /** What the jobs of this server use of it. */
  jobs?: GpuShare[] | null;
}

export interface Host {
  cpu_percent?: number | null;
  cpu_count?: number | null;
  memory_used_gb?: number | null;
  memory_total_gb?: number | null;
}

/** One reading of the machine; `history` holds earlier ones, oldest first. */
export interface System {
  time?: string | null;
  gpus?: Gpu[] | null;
  host?: Host | null;
  history?: System[] | null;
}

export function isEnded(job: { status?: string | null }): boolean {
  return ENDS.includes(job.status ?? "");
}

/** Paused with its work in a checkpoint: it holds no GPU and no process. */
export function isReleased(job: { status?: string | null; pause?: string | null }): boolean {
  return job.status === "paused" && job.pause === "release";
}
