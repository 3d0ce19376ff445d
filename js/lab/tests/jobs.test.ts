// @vitest-environment happy-dom
// The panel's list: what a row says, where it stands, and what can be chosen.
import { expect, test } from "vitest";
import type { Job } from "@jupyter-trainlive/core";
import { JobList, MOST_CHOSEN } from "../src/jobs";
import { matches, summary } from "../src/summary";

const GPUS = [{ index: 0, uuid: "a" }, { index: 1, uuid: "b" }];
const line = (job: Partial<Job>): string => summary({ job_id: "job_1", ...job }, GPUS).replaceAll("\u00a0", " ");
const list = (): { jobs: JobList; opened: string[]; chosen: (readonly string[] | null)[] } => {
  const opened: string[] = [];
  const chosen: (readonly string[] | null)[] = [];
  const jobs = new JobList({ open: (job) => opened.push(job.job_id), chosen: (ids) => chosen.push(ids) });
  return { jobs, opened, chosen };
};
const names = (jobs: JobList): (string | null)[][] =>
  [...jobs.element.querySelectorAll("ul")].map((section) => [...section.querySelectorAll("b")].map((name) => name.textContent));
const rows = (jobs: JobList): HTMLButtonElement[] => [...jobs.element.querySelectorAll<HTMLButtonElement>(".tl-job")];

test("a row says what matters now", () => {
  expect(line({ status: "running", phase: "training", progress: 62, eta_seconds: 400, gpus: ["a"] })).toBe("62 % · 6 min 40 s · GPU 0");
  expect(line({ status: "paused", pause: "hold", current_step: 440, progress: 55, gpus: ["b"] })).toBe("held at 440 · GPU 1");
  expect(line({ status: "paused", pause: "release", current_step: 440, progress: 55, gpus: ["b"] })).toBe("GPU freed at 440");
  expect(line({ status: "pausing", pause: "release", progress: 55 })).toBe("55 % · freeing the GPU…");
  expect(line({ status: "queued", queue: { position: 2, reason: "waits for a GPU: GPU 0 is used by job docs-sft" } })).toBe("waits for a GPU · 2nd");
  expect(line({ status: "queued" })).toBe("waiting its turn");
  expect(line({ status: "failed", error: "out of memory" })).toBe("out of memory");
  expect(line({ status: "failed", error: "out of memory", kept: { until: null, memory_gb: 1 } })).toBe("kernel kept · out of memory");
});

test("what runs is first, then what is paused, then the queue in its own order", () => {
  const { jobs } = list();
  const all: Job[] = (["completed", "queued", "paused", "failed", "running"] as const).map((status) => ({ job_id: status, status }));
  const waiting = (position: number): Job => ({ job_id: `place ${position}`, status: "queued", queue: { position, reason: "waits" } });
  jobs.show([waiting(2), waiting(1), ...all], []);
  expect(names(jobs)).toEqual([["running", "paused", "place 1", "place 2", "queued"], ["completed", "failed"]]);
});

test("jobs are found by name, id and state", () => {
  const job: Job = { job_id: "job_3f9k", name: "Docs-SFT", status: "interrupted" };
  for (const text of ["", "docs", " 3F9 ", "interr"]) expect(matches(job, text, "all")).toBe(true);
  expect(matches(job, "qa", "all")).toBe(false);
  expect(matches(job, "", "failed")).toBe(true);
  expect(matches(job, "docs", "running")).toBe(false);
  expect(matches({ job_id: "a", status: "starting" }, "", "waiting")).toBe(true);
});

test("of many finished jobs the newest are shown, and more when asked for", () => {
  const { jobs } = list();
  jobs.show(Array.from({ length: 130 }, (_, k) => ({ job_id: `job ${k}`, status: "completed" as const })), []);
  expect(rows(jobs)).toHaveLength(50);
  jobs.element.querySelector<HTMLButtonElement>(".tl-more")!.click();
  expect(rows(jobs)).toHaveLength(130);
  jobs.search("job 7", "all");
  expect(rows(jobs)).toHaveLength(11);
});

test("a press opens a job, with a modifier it begins to choose, and at most ten are chosen", () => {
  const { jobs, opened, chosen } = list();
  jobs.show(Array.from({ length: 12 }, (_, k) => ({ job_id: `${k}`, status: "completed" as const })), []);
  rows(jobs)[3]!.click();
  expect(opened).toEqual(["3"]);
  rows(jobs)[4]!.dispatchEvent(new MouseEvent("click", { ctrlKey: true }));
  expect(chosen.at(-1)).toEqual(["4"]);
  expect(rows(jobs)[4]!.getAttribute("aria-pressed")).toBe("true");
  for (const row of rows(jobs)) if (row.dataset.job !== "4") row.click();
  expect(opened).toHaveLength(1);
  expect(chosen.at(-1)).toHaveLength(MOST_CHOSEN);
  rows(jobs)[4]!.click();
  expect(chosen.at(-1)).not.toContain("4");
  jobs.choose(false);
  expect(chosen.at(-1)).toBeNull();
  expect(rows(jobs)[4]!.hasAttribute("aria-pressed")).toBe(false);
});

test("the job in front is marked, and loses its mark with another", () => {
  const { jobs } = list();
  jobs.show([{ job_id: "a", status: "running" }, { job_id: "b", status: "running" }], []);
  const marked = (): (string | undefined)[] => rows(jobs).filter((row) => row.hasAttribute("aria-current")).map((row) => row.dataset.job);
  jobs.mark("b");
  expect(marked()).toEqual(["b"]);
  jobs.mark(null);
  expect(marked()).toEqual([]);
});

test("the arrow keys go from row to row, across both lists", () => {
  const { jobs } = list();
  document.body.append(jobs.element);
  jobs.show([{ job_id: "a", status: "running" }, { job_id: "b", status: "failed" }], []);
  const press = (key: string): void => void document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  rows(jobs)[0]!.focus();
  press("ArrowDown");
  expect(document.activeElement).toBe(rows(jobs)[1]);
  press("ArrowDown");
  expect(document.activeElement).toBe(rows(jobs)[1]);
  press("Home");
  expect(document.activeElement).toBe(rows(jobs)[0]);
});
