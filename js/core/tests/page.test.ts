// @vitest-environment happy-dom
// What touches the page: the server it belongs to, the manners of its buttons, and what is asked for only when wanted.
import { beforeEach, expect, test, vi } from "vitest";
import { JobStore } from "../src/data/store";
import { alerts, alertsPage } from "../src/view/alerts";
import { controls, type SendAction } from "../src/view/controls";
import { outcome } from "../src/view/outcome";
import { ServerError, pageServer, xsrfToken } from "../src/wire/server";
import type { Action, Job } from "../src/wire/protocol";

beforeEach(() => {
  document.body.replaceChildren();
});

test("of two _xsrf cookies the last one counts", () => {
  expect(xsrfToken("_xsrf=hub; a=b; _xsrf=2%7Cmine")).toBe("2|mine");
  expect(xsrfToken("a=b")).toBeNull();
});

test("the server is found from the page, and never on another origin", () => {
  const here = { href: "https://hub.example/user/x%40y/lab" } as Location;
  expect(pageServer(document, here, "")).toBeNull();
  const config = document.createElement("script");
  config.id = "jupyter-config-data";
  config.textContent = JSON.stringify({ baseUrl: "/user/x%40y/", wsUrl: "" });
  document.body.append(config);
  expect(pageServer(document, here, "")!.key).toBe("https://hub.example/user/x%40y/trainlive/");
  expect(pageServer(document, here, "/user/z")!.key).toBe("https://hub.example/user/z/trainlive/");
  expect(pageServer(document, here, "//evil.example/")).toBeNull();
  expect(pageServer(document, here, "https://evil.example/")).toBeNull();
});

const RUNNING: Action[] = ["pause", "release", "cancel"];

interface Controlled {
  store: JobStore;
  section: HTMLElement;
  press(name: string): void;
  shown(): string[];
}

function control(send: SendAction, job: Partial<Job> = { status: "running", actions: RUNNING }): Controlled {
  const store = new JobStore("job_1");
  store.merge(job);
  const section = document.createElement("section");
  section.tabIndex = -1;
  document.body.append(section);
  const { buttons, refusal, update } = controls(store, send);
  store.subscribe(update);
  section.append(buttons, refusal);
  const all = (): HTMLButtonElement[] => [...section.querySelectorAll("button")];
  return {
    store,
    section,
    press(name) {
      const button = all().find(({ textContent }) => textContent === name)!;
      button.focus();
      button.click();
    },
    shown: () => all().filter((button) => !button.closest("[hidden]")).map((button) => button.textContent),
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

test("cancelling asks first, with the safe answer in focus, and Escape takes it back", () => {
  const send = vi.fn<SendAction>();
  const { press, shown } = control(send);
  expect(shown()).toEqual(["Hold", "Free GPU", "Cancel…"]);
  press("Cancel…");
  expect(shown()).toEqual(["Stop it", "Keep going"]);
  expect(document.activeElement!.textContent).toBe("Keep going");
  document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  expect(shown()).toEqual(["Hold", "Free GPU", "Cancel…"]);
  expect(document.activeElement!.textContent).toBe("Cancel…");
  expect(send).not.toHaveBeenCalled();
});

test("one request is sent, however often a button is pressed, and none is to be had until its answer", async () => {
  let answer = (_job: Job): void => {};
  const send = vi.fn<SendAction>(() => new Promise((resolve) => (answer = resolve)));
  const { store, section, press, shown } = control(send);
  press("Hold");
  press("Hold");
  press("Free GPU");
  press("Cancel…");
  expect(send.mock.calls).toEqual([["pause"]]);
  expect(section.querySelectorAll("button[aria-disabled=true]")).toHaveLength(4);
  answer({ job_id: "job_1", status: "pausing", pause: "hold", actions: ["release", "resume", "cancel"] });
  await settled();
  expect(store.job.status).toBe("pausing");
  expect(shown()).toEqual(["Resume", "Free GPU", "Cancel…"]);
  expect(section.querySelectorAll("button[aria-disabled=true]")).toHaveLength(0);
});

test("the keyboard stays in the job when the pressed button goes", async () => {
  const { press, section } = control(async () => ({ job_id: "job_1", status: "cancelling", actions: ["cancel"] }));
  press("Cancel…");
  press("Stop it");
  await settled();
  expect(document.activeElement).toBe(section);
});

test("a job that is being cancelled has no buttons, even if asking again were no error", () => {
  expect(control(vi.fn<SendAction>(), { status: "cancelling", actions: ["cancel"] }).shown()).toEqual([]);
});

test("an answer that comes behind newer news changes nothing", async () => {
  let answer = (_job: Job): void => {};
  const { store, press } = control(() => new Promise((resolve) => (answer = resolve)));
  press("Hold");
  store.merge({ status: "paused", pause: "hold", actions: ["resume"] });
  answer({ job_id: "job_1", status: "pausing", pause: "hold", actions: ["resume"] });
  await settled();
  expect(store.job.status).toBe("paused");
});

test("a refusal is said, the buttons are back, and it is forgotten when the state changes", async () => {
  const { store, press, shown, section } = control(() => Promise.reject(new ServerError(409, "It has no checkpoint.")));
  press("Free GPU");
  await settled();
  expect(section.querySelector("[role=alert]")!.textContent).toBe("It has no checkpoint.");
  expect(shown()).toEqual(["Hold", "Free GPU", "Cancel…"]);
  store.merge({ status: "completed", actions: ["delete"] });
  store.changed();
  expect(section.querySelector("[role=alert]")!.textContent).toBe("");
  expect(shown()).toEqual([]);
});

test("who may only watch is told so", async () => {
  const { press, section } = control(() => Promise.reject(new ServerError(403, "Forbidden")));
  press("Hold");
  await settled();
  expect(section.querySelector("[role=alert]")!.textContent).toContain("not change it");
});

test("resuming says where it begins, unless the process only goes on", () => {
  const label = (job: Partial<Job>): string => control(vi.fn<SendAction>(), { actions: ["resume"], ...job }).shown()[0]!;
  expect(label({ status: "paused", pause: "hold", checkpoint_step: 1200 })).toBe("Resume");
  expect(label({ status: "paused", pause: "release", checkpoint_step: 1200 })).toBe("Resume from step 1,200");
  expect(label({ status: "failed", checkpoint_step: 735 })).toBe("Resume from step 735");
  expect(label({ status: "failed", checkpoint_step: null })).toBe("Resume");
});

test("a resumed job's answer takes its reason with it", async () => {
  const failed: Partial<Job> = { status: "failed", error: "out of memory", ended_at: "2026-01-01T00:00:00Z", actions: ["resume"] };
  const { store, press } = control(async () => ({ job_id: "job_1", status: "queued", error: null, ended_at: null, attempt: 2, actions: ["cancel"] }), failed);
  press("Resume");
  await settled();
  expect(store.job).toMatchObject({ status: "queued", error: null, ended_at: null, attempt: 2 });
});

test("the output is asked for once, and only by who opens it", async () => {
  const store = new JobStore("job_1");
  const detail = vi.fn(async (): Promise<Job> => ({ job_id: "job_1", output_tail: "Killed" }));
  const part = outcome(store, detail);
  document.body.append(part.element);
  store.merge({ status: "failed", error: "It was killed.", attempt: 1 });
  part.update(0);
  expect(part.element.hidden).toBe(false);
  expect(detail).not.toHaveBeenCalled();
  const lines = part.element.querySelectorAll("details")[1]!;
  lines.open = true;
  part.update(0);
  part.update(0);
  await settled();
  expect(detail).toHaveBeenCalledTimes(1);
  expect(lines.textContent).toContain("Killed");
  // Resumed, and failed once more.
  store.merge({ attempt: 2 });
  part.update(0);
  expect(detail).toHaveBeenCalledTimes(2);
});

test("what a process wrote that never began is known without asking", () => {
  const store = new JobStore("job_1");
  const detail = vi.fn<() => Promise<Job>>();
  const part = outcome(store, detail);
  store.merge({ status: "failed", error: "It exited.", exit: { code: 1, output: "No module named ipykernel" } });
  const lines = part.element.querySelectorAll("details")[1]!;
  lines.open = true;
  part.update(0);
  expect(lines.textContent).toContain("No module named ipykernel");
  expect(detail).not.toHaveBeenCalled();
});

test("alerts show the newest, list all of them newest first, and only new ones are spoken", () => {
  const store = new JobStore("job_1");
  const openAll = vi.fn<() => void>();
  const part = alerts(store, openAll);
  const page = alertsPage(store);
  part.update(0);
  page.update!(0);
  expect(part.element.hidden).toBe(true);
  expect(page.element.textContent).toMatch(/^No alerts/);
  const stall = { name: "stall", message: "No step for 5 min", step: 40, time: "2026-01-01T00:00:00Z" };
  const nan = { name: "nan", message: "The loss is NaN", step: 1200, time: "2026-01-01T00:10:00Z" };
  store.merge({ status: "running", alerts: [stall] });
  part.update(0);
  expect(part.fresh()).toEqual([]);
  store.merge({ alerts: [stall, nan] });
  part.update(0);
  page.update!(0);
  expect(part.fresh()).toEqual(["The loss is NaN"]);
  expect(part.fresh()).toEqual([]);
  expect(part.element.textContent).toBe("!The loss is NaNstep 1,2002 alerts");
  part.element.click();
  expect(openAll).toHaveBeenCalledTimes(1);
  expect([...page.element.querySelectorAll("li span:last-child")].map((item) => item.textContent)).toEqual(["The loss is NaN", "No step for 5 min"]);
});
