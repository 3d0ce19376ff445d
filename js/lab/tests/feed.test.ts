// @vitest-environment happy-dom
// What the page knows of all jobs, of which it reads only the newest each time.
import { expect, test } from "vitest";
import type { Job, Server } from "@jupyter-trainlive/core";
import { Feed } from "../src/feed";
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

/** A feed of a server that answers what `answers` holds by path, or 404; `next` is its next reading. */
function feedOf(answers: Record<string, unknown>): { feed: Feed; asked: string[]; next(): Promise<void> } {
  const asked: string[] = [];
  const request = (path: string): Promise<Response> => {
    asked.push(path);
    const answer = answers[path.split("?")[0]!];
    return Promise.resolve(answer === undefined ? new Response("{}", { status: 404 }) : Response.json(answer));
  };
  const feed = new Feed({ key: "test", request } as unknown as Server);
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      const stop = feed.subscribe(() => {
        stop();
        // The poll itself comes to rest just after its listeners.
        setTimeout(resolve);
      });
    });
  return { feed, asked, next };
}

const LIST = "api/training/jobs";
const SYSTEM = "api/system";

test("the machine is read while a job is active or somebody watches, and else left alone", async () => {
  const answers: Record<string, unknown> = { [LIST]: { jobs: [], next_cursor: null }, [SYSTEM]: { gpus: [] } };
  const { feed, asked, next } = feedOf(answers);
  let reading = next();
  feed.start();
  await reading;
  expect(asked).toEqual([`${LIST}?limit=500`]);
  expect(feed.loaded).toBe(true);
  reading = next();
  feed.watch(feed, true);
  await reading;
  expect(asked.slice(1)).toEqual([`${LIST}?limit=50`, SYSTEM]);
  expect(feed.system).toEqual({ gpus: [] });
  feed.watch(feed, false);
  answers[LIST] = { jobs: [job(1, "running")], next_cursor: null };
  reading = next();
  feed.refresh();
  await reading;
  reading = next();
  feed.refresh();
  await reading;
  expect(asked.at(-1)).toBe(SYSTEM);
});

test("an old job that is still active is asked for by itself, and gone once the server does not know it", async () => {
  const answers: Record<string, unknown> = { [LIST]: { jobs: [job(3), job(1, "running")], next_cursor: "job_1" }, [SYSTEM]: {} };
  const { feed, next } = feedOf(answers);
  let reading = next();
  feed.start();
  await reading;
  answers[LIST] = { jobs: [job(4), job(3)], next_cursor: "job_3" };
  answers[`${LIST}/job_1`] = { ...job(1, "running"), progress: 50 };
  reading = next();
  feed.watch(feed, true);
  await reading;
  expect(feed.active).toEqual([{ ...job(1, "running"), progress: 50 }]);
  delete answers[`${LIST}/job_1`];
  reading = next();
  feed.watch({}, true);
  await reading;
  expect(ids(feed.jobs)).toEqual(["job_4", "job_3"]);
});

test("a failed reading says why, and keeps what was known", async () => {
  const answers: Record<string, unknown> = { [LIST]: { jobs: [job(1)], next_cursor: null } };
  const { feed, next } = feedOf(answers);
  let reading = next();
  feed.start();
  await reading;
  delete answers[LIST];
  reading = next();
  feed.refresh();
  await reading;
  expect(feed.trouble).toMatchObject({ status: 404 });
  expect(ids(feed.jobs)).toEqual(["job_1"]);
});
