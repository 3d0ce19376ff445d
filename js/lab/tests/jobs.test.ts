// @vitest-environment happy-dom
// The panel's list: what a row says, and where it stands.
import { expect, test } from "vitest";
import type { Job } from "@jupyter-trainlive/core";
import { JobList, summary } from "../src/jobs";

const GPUS = [{ index: 0, uuid: "a" }, { index: 1, uuid: "b" }];
const line = (job: Partial<Job>): string => summary({ job_id: "job_1", ...job }, GPUS).replaceAll("\u00a0", " ");

test("a row says what matters now", () => {
  expect(line({ status: "running", phase: "training", progress: 62, eta_seconds: 400, gpus: ["a"] })).toBe("62 % · 6 min 40 s · GPU 0");
  expect(line({ status: "paused", pause: "hold", current_step: 440, progress: 55, gpus: ["b"] })).toBe("held at 440 · GPU 1");
  expect(line({ status: "paused", pause: "release", current_step: 440, progress: 55, gpus: ["b"] })).toBe("GPU freed at 440");
  expect(line({ status: "pausing", pause: "release", progress: 55 })).toBe("55 % · freeing the GPU…");
  expect(line({ status: "queued", queue: { position: 2, reason: "waits for a GPU: GPU 0 is used by job docs-sft" } })).toBe("waits for a GPU · 2nd");
  expect(line({ status: "queued" })).toBe("waiting its turn");
  expect(line({ status: "failed", error: "out of memory" })).toBe("out of memory");
});

test("queued and paused jobs are active, the queue last and in its own order", () => {
  const list = new JobList(() => {});
  const jobs: Job[] = (["completed", "queued", "paused", "failed", "running"] as const).map((status) => ({ job_id: status, status }));
  const waiting = (position: number): Job => ({ job_id: `place ${position}`, status: "queued", queue: { position, reason: "waits" } });
  list.show([waiting(2), waiting(1), ...jobs], []);
  const names = [...list.element.querySelectorAll("ul")].map((section) => [...section.querySelectorAll("b")].map((name) => name.textContent));
  expect(names).toEqual([["paused", "running", "place 1", "place 2", "queued"], ["completed", "failed"]]);
});
