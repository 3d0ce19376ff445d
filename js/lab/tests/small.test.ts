// @vitest-environment happy-dom
// The smallest pictures and texts: the line in a row, and what stands in the status bar.
import { expect, test } from "vitest";
import type { Job } from "@jupyter-trainlive/core";
import { sparkPath } from "../src/spark";
import { statusText } from "../src/summary";

test("a line goes from edge to edge, higher values above, with gaps where nothing is known", () => {
  expect(sparkPath([4, 2, 0])).toBe("M1 1L32 10L63 19");
  expect(sparkPath([4, null, 0, 0])).toBe("M1 1M42.3 19L63 19");
  expect(sparkPath([1, 1])).toBe("M1 10L63 10");
  expect(sparkPath([null, Number.NaN])).toBe("");
  expect(sparkPath([])).toBe("");
});

test("the status bar says what runs and how loaded the GPUs are", () => {
  const jobs = (...all: Job["status"][]): Job[] => all.map((status, k) => ({ job_id: `${k}`, status }));
  const text = (active: Job[], ...loads: (number | null)[]): string =>
    statusText(active, { gpus: loads.map((utilization_percent, index) => ({ index, utilization_percent })) }).replaceAll("\u00a0", " ");
  expect(text(jobs("running", "queued"), 97)).toBe("1 running · GPU 97 %");
  expect(text(jobs("running", "running"), 90, 40)).toBe("2 running · 2 GPUs 65 %");
  expect(text(jobs("queued", "starting", "paused"))).toBe("2 waiting");
  expect(text(jobs("paused"))).toBe("1 paused");
  expect(text(jobs("running"), null)).toBe("1 running · GPU –");
});
