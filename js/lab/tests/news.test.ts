// What is told of jobs: each thing once, and nothing from before the page was there.
import { expect, test } from "vitest";
import type { Job } from "@jupyter-trainlive/core";
import { Newsreader } from "../src/news";

const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, "0")}Z`;
const job = (change: Partial<Job> = {}): Job => ({ job_id: "job_1", name: "docs-sft", status: "running", submitted_at: at(1), ...change });
const alert = (step: number): NonNullable<Job["alerts"]>[number] => ({ name: "nan", message: `NaN at ${step}`, step, time: at(step) });
const done = { status: "completed", started_at: at(2), ended_at: at(47), final_loss: 1.09 } as const;

function reader(...before: Job[]): (...jobs: Job[]) => string[] {
  const news = new Newsreader();
  expect(news.read(before)).toEqual([]);
  return (...jobs) => news.read(jobs).map(({ kind, text }) => `${kind}: ${text.replaceAll("\u00a0", " ")}`);
}

test("an end is told once", () => {
  const read = reader(job());
  expect(read(job())).toEqual([]);
  expect(read(job(done))).toEqual(["ended: docs-sft completed · loss 1.090 · 45 s"]);
  expect(read(job(done))).toEqual([]);
});

test("nothing is told of what had happened before, nor of older jobs that come to be known", () => {
  const old = job({ job_id: "job_0", submitted_at: at(0), status: "failed", ended_at: at(1) });
  const read = reader(job({ ...done, alerts: [alert(3)] }));
  expect(read(job({ ...done, alerts: [alert(3)] }), old)).toEqual([]);
});

test("a job that came and failed between two looks is told of", () => {
  const read = reader(job());
  expect(read(job(), job({ job_id: "job_2", name: null, submitted_at: at(9), status: "failed", error: "out of memory" }))).toEqual([
    "failed: job_2 failed: out of memory",
  ]);
});

test("one that is resumed and fails again is told of again", () => {
  const read = reader(job());
  const failed = (second: number): Job => job({ status: "interrupted", ended_at: at(second) });
  expect(read(failed(5))).toHaveLength(1);
  expect(read(job())).toEqual([]);
  expect(read(failed(9))).toEqual(["failed: docs-sft was interrupted"]);
});

test("several alerts at once are one piece of news", () => {
  const read = reader(job({ alerts: [alert(1)] }));
  expect(read(job({ alerts: [alert(1), alert(2)] }))).toEqual(["alert: docs-sft: NaN at 2"]);
  expect(read(job({ alerts: [alert(1), alert(2), alert(3), alert(4)] }))).toEqual(["alert: docs-sft: NaN at 4 (and 1 other alert)"]);
});

test("on a server without jobs the first one is news", () => {
  expect(reader()(job(done))).toHaveLength(1);
});
