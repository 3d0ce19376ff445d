// @vitest-environment happy-dom
// The line of a kernel that is kept: it says what it holds, ends it only when asked twice, and goes when the kernel does.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { JobStore } from "../src/data/store";
import { kept } from "../src/view/kept";
import type { Job } from "../src/wire/protocol";
import { ServerError } from "../src/wire/server";

const NOW = Date.parse("2026-11-26T12:00:00Z");
const KEPT: Job = { job_id: "job_1", status: "completed", actions: ["delete", "end_kernel"], kept: { until: "2026-11-26T13:05:00Z", memory_gb: null } };

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  document.body.replaceChildren();
});
afterEach(() => vi.useRealTimers());

interface Shown {
  store: JobStore;
  section: HTMLElement;
  closing: AbortController;
  end: ReturnType<typeof vi.fn>;
  read: ReturnType<typeof vi.fn>;
  text(): string | null;
  buttons(): string[];
  press(name: string): void;
}

function show(job: Job, answer: () => Promise<Job>, openConsole: (() => Promise<void>) | null = null): Shown {
  const store = new JobStore("job_1");
  store.merge(job);
  const section = document.createElement("section");
  section.tabIndex = -1;
  document.body.append(section);
  const closing = new AbortController();
  const end = vi.fn(answer);
  const read = vi.fn(answer);
  const part = kept(store, { end, read, openConsole, signal: closing.signal });
  section.append(part.element);
  store.subscribe(() => part.update(Date.now()));
  part.update(NOW);
  const all = (): HTMLButtonElement[] => [...section.querySelectorAll("button")].filter((button) => !button.closest("[hidden]"));
  return {
    store,
    section,
    closing,
    end,
    read,
    text: () => (part.element.hidden ? null : section.querySelector(".tl-kept-text")!.textContent),
    buttons: () => all().map(({ textContent }) => textContent),
    press: (name) => all().find(({ textContent }) => textContent === name)!.click(),
  };
}

test("a job that keeps no kernel says nothing and asks nothing", async () => {
  const shown = show({ ...KEPT, kept: null }, () => Promise.resolve(KEPT));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(shown.text()).toBeNull();
  expect(shown.read).not.toHaveBeenCalled();
});

test("it says what the kernel holds, looks again now and then, and goes when the kernel has gone", async () => {
  let answer: Job = { ...KEPT, kept: { ...KEPT.kept, memory_gb: 4.25 } };
  const shown = show(KEPT, () => Promise.resolve(answer));
  expect(shown.text()).toMatch(/^Kernel kept until \d\d:05$/);
  await vi.advanceTimersByTimeAsync(0);
  expect(shown.text()).toMatch(/until \d\d:05 · holds 4\.3.GB$/);
  expect(shown.read).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(shown.read).toHaveBeenCalledTimes(2);
  answer = { ...answer, kept: null, actions: ["delete"] };
  await vi.advanceTimersByTimeAsync(10_000);
  expect(shown.text()).toBeNull();
  expect(shown.store.job.actions).toEqual(["delete"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(shown.read).toHaveBeenCalledTimes(3);
});

test("ending asks first; then it says so until the kernel is gone", async () => {
  let answer: Job = KEPT;
  const shown = show(KEPT, () => Promise.resolve(answer));
  expect(shown.buttons()).toEqual(["End kernel…"]);
  shown.press("End kernel…");
  expect(shown.buttons()).toEqual(["End it", "Keep it"]);
  expect(document.activeElement!.textContent).toBe("Keep it");
  shown.press("Keep it");
  expect(shown.end).not.toHaveBeenCalled();
  answer = { ...KEPT, actions: ["delete"] };
  shown.press("End kernel…");
  shown.press("End it");
  await vi.advanceTimersByTimeAsync(0);
  expect(shown.end).toHaveBeenCalledTimes(1);
  expect(shown.text()).toMatch(/^Ending its kernel…/);
  expect(shown.buttons()).toEqual([]);
  expect(document.activeElement).toBe(shown.section);
  answer = { ...KEPT, actions: ["delete"], kept: null };
  await vi.advanceTimersByTimeAsync(1_000);
  expect(shown.text()).toBeNull();
});

test("what is refused is said, and a view that is closed asks no more", async () => {
  const shown = show(KEPT, () => Promise.reject(new ServerError(409, "No kernel of it is kept.")));
  shown.press("End kernel…");
  shown.press("End it");
  await vi.advanceTimersByTimeAsync(0);
  expect(shown.section.querySelector(".tl-refused")!.textContent).toBe("No kernel of it is kept.");
  shown.closing.abort();
  const asked = shown.read.mock.calls.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(shown.read.mock.calls.length).toBe(asked);
});

test("a console is offered where the page has them", async () => {
  const openConsole = vi.fn(() => Promise.resolve());
  const shown = show(KEPT, () => Promise.resolve(KEPT), openConsole);
  expect(shown.buttons()).toEqual(["Open console", "End kernel…"]);
  shown.press("Open console");
  await vi.advanceTimersByTimeAsync(0);
  expect(openConsole).toHaveBeenCalledTimes(1);
});
