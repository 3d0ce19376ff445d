// What the form asks of the server.

import type { Job } from "../wire/protocol";
import { json, type Server } from "../wire/server";
import type { Value } from "./entries";
import type { Schema } from "./schema";

/** What a fine-tune would do. `memory_gb` is an estimate; `fits` is null where no GPU tells its size. */
export interface DryRun {
  rows: number;
  eval_rows: number;
  tokens: number;
  truncated_rows: number;
  unusable_rows: number;
  steps: number;
  steps_per_epoch: number;
  trainable_parameters: number;
  all_parameters: number;
  memory_gb: { model: number; gradients: number; optimizer: number; activations: number; total: number };
  gpu_memory_gb: number | null;
  fits: boolean | null;
  warnings: string[];
  /** The data was too large to be counted to its end. */
  estimated?: boolean;
}

export async function getSchema(server: Server): Promise<Schema> {
  return json<Schema>(await server.request("api/training/schema"));
}

const execute = (server: Server, body: object, signal?: AbortSignal): Promise<Response> =>
  server.request("api/training/execute", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** Takes some ten seconds; raises ServerError, whose `field` names what is wrong. */
export async function askDryRun(server: Server, values: Readonly<Record<string, Value>>, signal: AbortSignal): Promise<DryRun> {
  return json<DryRun>(await execute(server, { ...values, dry_run: true }, signal));
}

export async function startFineTune(server: Server, values: Readonly<Record<string, Value>>): Promise<Job> {
  return json<Job>(await execute(server, values));
}
