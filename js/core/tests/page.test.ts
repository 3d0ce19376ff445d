// @vitest-environment happy-dom
// What touches the page: the server it belongs to, and the cancel button's manners.
import { beforeEach, expect, test, vi } from "vitest";
import { JobStore } from "../src/data/store";
import { cancelControl } from "../src/view/cancel";
import { ServerError, pageServer, xsrfToken } from "../src/wire/server";
import type { Job } from "../src/wire/protocol";

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

function control(send: () => Promise<Job>): { store: JobStore; section: HTMLElement; press(name: string): void; shown(): string[] } {
  const store = new JobStore("job_1");
  store.merge({ status: "running" });
  const section = document.createElement("section");
  section.tabIndex = -1;
  document.body.append(section);
  const cancel = cancelControl(store, send);
  store.subscribe(cancel.update);
  section.append(cancel.element);
  const buttons = (): HTMLButtonElement[] => [...section.querySelectorAll("button")];
  return {
    store,
    section,
    press: (name) => buttons().find((button) => button.textContent === name)!.click(),
    shown: () => buttons().filter((button) => !button.closest("[hidden]")).map((button) => button.textContent),
  };
}

test("cancelling asks first, with the safe answer in focus, and Escape takes it back", () => {
  const send = vi.fn<() => Promise<Job>>();
  const { press, shown } = control(send);
  expect(shown()).toEqual(["Cancel…"]);
  press("Cancel…");
  expect(document.activeElement!.textContent).toBe("Keep going");
  document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  expect(shown()).toEqual(["Cancel…"]);
  expect(document.activeElement!.textContent).toBe("Cancel…");
  expect(send).not.toHaveBeenCalled();
});

test("one request is sent, however often the button is pressed", async () => {
  const send = vi.fn(async (): Promise<Job> => ({ job_id: "job_1", status: "cancelling" }));
  const { store, press, shown, section } = control(send);
  press("Cancel…");
  press("Stop it");
  press("Stop it");
  await Promise.resolve();
  expect(send).toHaveBeenCalledTimes(1);
  expect(store.job.status).toBe("cancelling");
  expect(shown()).toEqual([]);
  expect(section.contains(document.activeElement)).toBe(true);
});

test("an answer that comes after the end does not bring the job back", async () => {
  let answer = (_job: Job): void => {};
  const { store, press } = control(() => new Promise((resolve) => (answer = resolve)));
  press("Cancel…");
  press("Stop it");
  store.merge({ status: "cancelled" });
  answer({ job_id: "job_1", status: "cancelling" });
  await Promise.resolve();
  expect(store.job.status).toBe("cancelled");
});

test("a refusal is said, and the button is back", async () => {
  const { press, shown, section } = control(() => Promise.reject(new ServerError(403, "Forbidden")));
  press("Cancel…");
  press("Stop it");
  await new Promise((resolve) => setTimeout(resolve));
  expect(section.querySelector("[role=alert]")!.textContent).toContain("not stop it");
  expect(shown()).toEqual(["Cancel…"]);
});

test("a finished job cannot be cancelled", () => {
  const { store, shown } = control(async () => ({ job_id: "job_1" }));
  store.merge({ status: "completed" });
  store.changed();
  expect(shown()).toEqual([]);
});
