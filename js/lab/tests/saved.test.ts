// What an output keeps of a job: nothing in it is believed, and a picture is written only where it shows something new.
import { expect, test } from "vitest";
import { COMPARISON_MIME, JOB_MIME, pictured, savedComparison, savedJob, savedPicture, withJobs, withPicture } from "../src/saved";

const ID = "job_0123456789ab";
const WIDGET = "application/vnd.jupyter.widget-view+json";

test("only a job's id is taken for one", () => {
  expect(savedJob({ [JOB_MIME]: { job_id: ID, name: "docs", server_path: "/user/a%40b/" } })).toEqual({
    job_id: ID,
    name: "docs",
    server_path: "/user/a%40b/",
  });
  expect(savedJob({ [JOB_MIME]: { job_id: ID, name: ["docs"], server_path: 7 } })).toEqual({ job_id: ID, name: null, server_path: "" });
  for (const wrong of [null, "x", [], {}, { job_id: 3 }, { job_id: "../job_0123456789ab" }, { job_id: `${ID}/cancel` }, { job_id: `${ID}\n` }]) {
    expect(savedJob({ [JOB_MIME]: wrong })).toBeNull();
  }
});

test("a comparison names each job once, and at most ten", () => {
  const ids = Array.from({ length: 12 }, (_, k) => `job_${String(k).padStart(12, "0")}`);
  const found = savedComparison({ [COMPARISON_MIME]: { jobs: [...ids, ids[0], "x", null].map((job_id) => ({ job_id })) } });
  expect(found.map(({ job_id }) => job_id)).toEqual(ids.slice(0, 10));
  expect(savedComparison({ [COMPARISON_MIME]: { jobs: "all" } })).toEqual([]);
  expect(savedComparison({})).toEqual([]);
});

test("a picture is an image of two kinds and nothing else", () => {
  expect(savedPicture({ "image/png": "aGFs\nbG8=\n" })).toBe("data:image/png;base64,aGFsbG8=");
  expect(savedPicture({ "image/svg+xml": ["<svg ", "id='#'/>"] })).toBe("data:image/svg+xml,%3Csvg%20id%3D'%23'%2F%3E");
  expect(savedPicture({ "image/png": "aGFsbG8=", "image/svg+xml": "<svg/>" })).toContain("png");
  expect(savedPicture({ "image/png": 'x" onerror="alert(1)' })).toBeNull();
  expect(savedPicture({ "image/svg+xml": "<script/>", "text/html": "<svg/>" })).toBeNull();
  expect(savedPicture({ "image/png": 7 })).toBeNull();
});

test("a picture takes the place of an older one and of the widget, and is written once", () => {
  const data = { [JOB_MIME]: { job_id: ID }, [WIDGET]: { model_id: "1" }, "image/svg+xml": "<svg/>", "text/plain": "job" };
  // The beginning of a picture of 1280 × 640 pixels.
  const png = "iVBORw0KGgoAAAANSUhEUgAABQAAAAKA";
  const draw = (): string => `data:image/png;base64,${png}`;
  const first = withPicture({ data, metadata: { tags: ["a"] } }, JOB_MIME, "record 7", draw)!;
  expect(first.data).toEqual({ [JOB_MIME]: { job_id: ID }, "image/png": png, "text/plain": "job" });
  expect(first.metadata).toEqual({ tags: ["a"], [JOB_MIME]: { picture: "record 7" }, "image/png": { width: 640, height: 320 } });
  expect(withPicture(first, JOB_MIME, "record 7", draw)).toBeNull();
  expect(withPicture(first, JOB_MIME, "record 8", draw)?.metadata[JOB_MIME]).toEqual({ picture: "record 8" });
  // Where nothing can be drawn, what was there stays.
  expect(withPicture(first, JOB_MIME, "record 9", () => null)).toBeNull();
});

test("the picture of an ended job is its last, however its records were told", () => {
  const job = { job_id: ID, status: "completed", ended_at: "2026-11-26T09:00:00Z" } as const;
  expect(pictured(job, 100)).toBe(pictured(job, 140));
  expect(pictured({ job_id: ID, status: "running" }, 100)).not.toBe(pictured({ job_id: ID, status: "running" }, 140));
  expect(pictured({ ...job, ended_at: "2026-11-27T09:00:00Z" }, 100)).not.toBe(pictured(job, 100));
});

test("a comparison that has changed names its jobs, and keeps its picture until there is a new one", () => {
  const before = { data: { [COMPARISON_MIME]: { jobs: [{ job_id: ID }] }, "image/png": "aGFsbG8=" }, metadata: {} };
  const { data } = withJobs(before, [{ job_id: ID, name: "docs" }, { job_id: "job_0123456789ac" }]);
  expect(savedComparison(data).map(({ job_id, name }) => [job_id, name])).toEqual([[ID, "docs"], ["job_0123456789ac", null]]);
  expect(data["image/png"]).toBe("aGFsbG8=");
});
