// What the page knows of all jobs, of which it reads only the newest each time.
import { expect, test } from "vitest";
import type { Job } from "@jupyter-trainlive/core";
import { merged } from "../src/merged";

const job = (n: number, status: Job["status"] = "completed"): Job => ({ job_id: `job_${n}`, status, submitted_at: `2026-01-01T00:00:${String(n).padStart(2, "0")}Z` });
const ids = (jobs: readonly Job[]): string[] => jobs.map(({ job_id }) => job_id);

test("older jobs stay behind the newest that were read", () => {
  const { jobs, astray } = merged([job(3), job(2), job(1)], [job(4, "running"), job(3), job(2)], true);
  expect(ids(jobs)).toEqual(["job_4", "job_3", "job_2", "job_1"]);
  expect(astray).toEqual([]);
});

test("what is missing among the newest was deleted", () => {
  expect(ids(merged([job(4), job(3), job(2), job(1)], [job(4), job(2)], true).jobs)).toEqual(["job_4", "job_2", "job_1"]);
});

test("a page without a next one is all there is", () => {
  expect(ids(merged([job(2), job(1)], [job(2)], false).jobs)).toEqual(["job_2"]);
  expect(merged([job(1)], [], false).jobs).toEqual([]);
});

test("an older job that is still active has to be asked for by itself", () => {
  expect(ids(merged([job(3), job(1, "running")], [job(4), job(3)], true).astray)).toEqual(["job_1"]);
});

test("a page of nothing but new jobs has all known ones behind it", () => {
  expect(ids(merged([job(2), job(1)], [job(5), job(4)], true).jobs)).toEqual(["job_5", "job_4", "job_2", "job_1"]);
});
