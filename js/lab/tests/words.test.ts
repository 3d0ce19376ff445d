// @vitest-environment happy-dom
// The words of the interface are those of the page's language: with a made-up one no English is left in any view.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { mountComparison, mountForm, mountJob, setTranslator, type Job, type Server, type System, type Translator } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";
import type { Feed } from "../src/feed";
import { TrainingPanel } from "../src/panel";
import { statusText } from "../src/summary";

/** What is in these marks was translated; what was filled in stands in marks of its own. */
const told = (text: string, args: readonly (string | number)[]): string =>
  `«${text.replace(/%(\d+)/g, (_, k: string) => `»${args[Number(k) - 1]}«`)}»`;
const language: Translator = {
  __: (text, ...args) => told(text, args),
  _n: (one, many, n, ...args) => told(n === 1 ? one : many, [n, ...args]),
};

const JOBS: Job[] = [
  { job_id: "job_000000000001", name: "1", status: "running", kind: "finetune", progress: 40, current_step: 20, total_steps: 50, current_epoch: 0.4, total_epochs: 1, eta_seconds: 7, started_at: "2026-11-26T09:00:00Z", gpus: ["a"], actions: ["pause", "release", "cancel"], loss: 1, learning_rate: 0.1 },
  { job_id: "job_000000000002", name: "2", status: "paused", pause: "release", current_step: 3, actions: ["resume", "cancel"] },
  { job_id: "job_000000000003", name: "3", status: "queued", actions: ["cancel"] },
  { job_id: "job_000000000004", name: "4", status: "completed", final_loss: 1, started_at: "2026-11-26T09:00:00Z", ended_at: "2026-11-26T09:01:00Z", actions: ["delete"], kept: { until: "2026-11-26T09:09:00Z", memory_gb: 1 } },
  { job_id: "job_000000000005", name: "5", status: "failed", actions: ["resume"], kind: "finetune" },
  { job_id: "job_000000000006", name: "6", status: "cancelled" },
];
const SYSTEM: System = {
  host: { cpu_percent: 3, cpu_count: 2, memory_used_gb: 1, memory_total_gb: 4 },
  gpus: [{ index: 0, uuid: "a", name: "0", utilization_percent: 1, memory_used_gb: 1, memory_total_gb: 2, temperature_celsius: 3, power_watts: 4, power_limit_watts: 5 }],
};

/** A server whose sockets bring one greeting. */
function serverOf(job: Job): Server {
  return {
    key: `http://here/${job.job_id}/`,
    request: () => Promise.resolve(new Response(JSON.stringify({ ...job, jobs: JOBS, next_cursor: null, files: [] }), { headers: { "Content-Type": "application/json" } })),
    socket() {
      const socket = Object.assign(new EventTarget(), { protocol: "trainlive.v1", readyState: 1, send() {}, close() {} });
      const say = (frame: unknown): boolean => socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) }));
      setTimeout(() => {
        socket.dispatchEvent(new Event("open"));
        say({ type: "hello", seq: 2, job, series: [{ name: "loss", count: 2, last: 1 }], server_time: "2026-11-26T09:00:09Z", version: "1", limits: {} });
        say({ type: "points", seq: 2, series: { loss: { step: [1, 2], time: [1, 2], value: [2, 1] }, eval_loss: { step: [2], time: [2], value: [1] } } });
        say({ type: "gauges", system: SYSTEM });
      });
      return socket as unknown as WebSocket;
    },
    href: (path) => path,
  } as Server;
}

/** Everything that is seen or read out, apart from what was translated, and from what has one name in all languages. */
function untranslated(root: Element): string[] {
  const texts: string[] = [];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) if (!node.parentElement?.closest("code, pre")) texts.push(node.nodeValue ?? "");
  for (const element of [root, ...root.querySelectorAll("*")]) {
    for (const name of ["aria-label", "aria-valuetext", "title", "placeholder", "alt"]) texts.push(element.getAttribute(name) ?? "");
  }
  return texts.map((text) => text.replace(/«[^»]*»|job_\w+|PNG|SVG|\d+\s(s|GB|W|°C)/g, "")).filter((text) => /[a-z]{2}/i.test(text));
}

beforeAll(() => {
  setTranslator(language);
  vi.stubGlobal("ResizeObserver", class { observe(): void {} disconnect(): void {} });
});
afterAll(() => {
  setTranslator({ __: (text) => text, _n: (one) => one });
  vi.unstubAllGlobals();
});

test("the panel, a row of each state and the status bar", () => {
  const feed = { jobs: JOBS, loaded: true, system: SYSTEM, history: [SYSTEM], trouble: null, subscribe: () => () => {}, watch: () => {} };
  const panel = new TrainingPanel(feed as unknown as Feed, { open() {}, compare() {}, begin() {} });
  panel.canBegin = panel.canCompare = true;
  Widget.attach(panel, document.body);
  expect(panel.node.querySelectorAll(".tl-job")).toHaveLength(JOBS.length);
  expect(untranslated(panel.node)).toEqual([]);
  panel.dispose();
  expect(statusText(JOBS.slice(0, 3), SYSTEM)).toMatch(/^«»1« running» · «GPU »/);
});

test.each(JOBS)("the view of a job that is $status, and its pages", async (job) => {
  const closing = new AbortController();
  const host = document.createElement("div");
  document.body.append(host);
  mountJob(host, { server: serverOf(job), job_id: job.job_id, name: null, signal: closing.signal, openConsole: async () => {}, launchAgain() {} });
  await vi.waitFor(() => expect(host.querySelector("section")!.dataset.status).toBe(job.status));
  for (const tab of host.querySelectorAll<HTMLElement>("[role=tab]")) tab.click();
  await new Promise((resolve) => requestAnimationFrame(resolve));
  expect(untranslated(host)).toEqual([]);
  closing.abort();
});

test("a comparison", async () => {
  const closing = new AbortController();
  const host = document.createElement("div");
  document.body.append(host);
  mountComparison(host, { server: serverOf(JOBS[0]!), job_ids: ["job_000000000001"], signal: closing.signal });
  await vi.waitFor(() => expect(host.querySelector(".tl-state")!.textContent).toContain("Running"));
  expect(untranslated(host)).toEqual([]);
  closing.abort();
});

test("the form, but for the recipe's own words", async () => {
  const closing = new AbortController();
  const host = document.createElement("div");
  document.body.append(host);
  const schema = { type: "object", properties: { model_name: { type: "string", title: "1" }, bf16: { type: "boolean", title: "2" } }, required: ["model_name"] };
  const server = { ...serverOf(JOBS[0]!), request: () => Promise.resolve(new Response(JSON.stringify(schema))) };
  mountForm(host, { server, begin: {}, signal: closing.signal, kernels: Promise.resolve([]), list: async () => [], copy() {}, started() {}, changed() {} });
  await vi.waitFor(() => expect(host.querySelectorAll("input").length).toBeGreaterThan(3));
  // What a field is called in Python stands beside its name.
  for (const label of host.querySelectorAll("label[title]")) label.removeAttribute("title");
  expect(untranslated(host)).toEqual([]);
  closing.abort();
});
