// @vitest-environment happy-dom
// The pages beside the curves: tabs for the keyboard, files as a tree, settings as rows, the output read piece by piece.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobStore } from "../src/data/store";
import { bytes } from "../src/data/format";
import { given, groupsOf, said } from "../src/data/settings";
import { fileTree } from "../src/data/tree";
import { visible } from "../src/data/visible";
import { detail } from "../src/view/detail";
import { h, setText } from "../src/view/dom";
import { downloadLink } from "../src/view/download";
import { tabs } from "../src/view/tabs";
import { LogReader, MOST_BYTES, TAIL_BYTES, type LogPiece } from "../src/wire/log";
import type { Server } from "../src/wire/server";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

beforeEach(() => {
  document.body.replaceChildren();
});

describe("text from outside", () => {
  test("nothing in it is hidden, and nothing around it is turned", () => {
    expect(visible("a\u202eb\x07c\x85d\te\nf")).toBe("a\ufffdb␇c\ufffdd\te\nf");
    const element = h("span", {}, "a\u202e<b>");
    expect(element.textContent).toBe("a\ufffd<b>");
    setText(element, "\u2067x");
    const node = element.firstChild;
    setText(element, "\u2067x");
    expect(element.firstChild).toBe(node);
  });
});

describe("tabs", () => {
  const page = (name: string) => vi.fn(() => ({ element: h("p", {}, name), opened: vi.fn(), update: vi.fn() }));

  test("show one page, made when it is opened, and the arrows go round", () => {
    const [first, second, third] = [page("1"), page("2"), page("3")];
    const views = tabs("Views", [
      { name: "one", label: "One", page: first },
      { name: "two", label: "Two", page: second },
      { name: "three", label: "Three", page: third },
    ]);
    document.body.append(views.bar, views.panels);
    const buttons = [...views.bar.querySelectorAll("button")];
    const press = (key: string): unknown => document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const selected = (): string[] => buttons.filter((each) => each.getAttribute("aria-selected") === "true").map((each) => each.textContent);
    expect(selected()).toEqual(["One"]);
    expect(second).not.toHaveBeenCalled();
    buttons[0]!.focus();
    press("ArrowLeft");
    expect(selected()).toEqual(["Three"]);
    expect(document.activeElement).toBe(buttons[2]);
    press("ArrowRight");
    press("ArrowRight");
    expect(selected()).toEqual(["Two"]);
    expect(buttons.map((each) => each.tabIndex)).toEqual([-1, 0, -1]);
    expect([...views.panels.children].map((each) => (each as HTMLElement).hidden)).toEqual([true, false, true]);
    expect(first.mock.results[0]!.value.opened.mock.calls).toEqual([[true], [false], [true], [false]]);
    views.update(5);
    expect(second.mock.results[0]!.value.update).toHaveBeenCalledWith(5);
    expect(third.mock.results[0]!.value.update).not.toHaveBeenCalled();
    views.count("two", 3, "warn");
    expect(buttons[1]!.textContent).toBe("Two3");
  });
});

describe("files", () => {
  test("lie in their folders, numbers in their order, with what a folder holds in all", () => {
    const tree = fileTree([
      { path: "checkpoints/checkpoint-100/model.bin", size_bytes: 5 },
      { path: "checkpoints/checkpoint-20/model.bin", size_bytes: 7 },
      { path: "checkpoints/checkpoint-20/state/a.json", size_bytes: 1 },
      { path: "artifacts/__proto__/x", size_bytes: 2 },
    ]);
    expect(tree).toMatchObject({ size_bytes: 15, count: 4 });
    const [artifacts, checkpoints] = tree.folders;
    expect(artifacts!.folders[0]).toMatchObject({ name: "__proto__", count: 1 });
    expect(checkpoints!.folders.map(({ name, size_bytes, path }) => [name, size_bytes, path])).toEqual([
      ["checkpoint-20", 8, "checkpoints/checkpoint-20"],
      ["checkpoint-100", 5, "checkpoints/checkpoint-100"],
    ]);
    expect(checkpoints!.folders[0]!.folders[0]!.files).toEqual([{ name: "a.json", path: "checkpoints/checkpoint-20/state/a.json", size_bytes: 1 }]);
  });

  test("sizes", () => {
    expect([0, 512, 1234, 999_960, 8_120_000, 123_400_000, 2.4e9].map((size) => plain(bytes(size)))).toEqual(["0 B", "512 B", "1.2 kB", "1.0 MB", "8.1 MB", "123 MB", "2.4 GB"]);
  });

  const server = (href: string | null, request = vi.fn()): Server => ({ key: "s", request, socket: vi.fn(), href: () => href });

  test("are links where the page may ask by itself", () => {
    const link = downloadLink(server("https://here/x"), "x", "model.bin", "Download", "Download model.bin") as HTMLAnchorElement;
    expect([link.tagName, link.href, link.download]).toEqual(["A", "https://here/x", "model.bin"]);
  });

  test("else they are fetched once, a refusal is said, and none that no page could hold", async () => {
    const request = vi.fn(async () => new Response('{"message": "It is gone."}', { status: 404 }));
    const fetched = downloadLink(server(null, request), "a/b", "b", "Download", "Download b");
    const button = fetched.querySelector("button")!;
    button.click();
    button.click();
    expect(request).toHaveBeenCalledTimes(1);
    await vi.waitFor(() => expect(fetched.querySelector("[role=status]")!.textContent).toBe("It is gone."));
    const large = downloadLink(server(null, request), "a/b", "b", "Download", "Download b", 3e9);
    large.querySelector("button")!.click();
    expect(large.textContent).toContain("job.download()");
    expect(request).toHaveBeenCalledTimes(1);
  });
});

describe("settings", () => {
  test("what was asked for is told apart from what the job is", () => {
    const asked = given({ gpus: 1, env: [], job_id: "j", name: "n", kind: "finetune", parameters: { model_name: "m", learning_rate: 3e-4, seed: null, lora: {} } });
    expect(asked.parameters).toEqual([
      ["model_name", "m"],
      ["learning_rate", 3e-4],
    ]);
    expect(asked.job.map(([name]) => name)).toEqual(["name", "kind", "job_id", "gpus"]);
    expect(given({ kind: "code", code: "\nprint(1)" })).toEqual({ parameters: [], code: "print(1)", job: [["kind", "code"]] });
  });

  test("an environment is taken as it comes", () => {
    expect(groupsOf(null)).toEqual({ machine: [], seeds: [], variables: [], packages: [] });
    const groups = groupsOf({ python: { version: "3.11" }, host: "h", git: null, gpus: { uuids: ["a", "b"] }, seeds: { seed: 0 }, packages: { torch: "2" }, variables: "odd" });
    expect(groups.machine.map(([name, value]) => `${name} ${said(value)}`)).toEqual(["python version 3.11", "host h", "GPU uuids a, b"]);
    expect(groups.seeds).toEqual([["seed", 0]]);
    expect(groups.variables).toEqual([]);
  });

  test("values are said as one reads them", () => {
    expect([said(true), said([1, 2]), said({ a: [1] }), said("x\ny")]).toEqual(["true", "1, 2", '{\n  "a": [\n    1\n  ]\n}', "x\ny"]);
  });
});

test("all of a job is asked for once, and again when it may have left more", async () => {
  const store = new JobStore("job_1");
  const request = vi.fn(async () => new Response('{"job_id": "job_1", "files": []}'));
  const changed = vi.fn();
  const known = detail(store, { key: "s", request, socket: vi.fn(), href: () => null }, changed);
  store.merge({ status: "running", checkpoint_step: 20 });
  known.want();
  known.want();
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(1));
  expect(known.job!.files).toEqual([]);
  store.merge({ current_step: 30 });
  known.want();
  expect(request).toHaveBeenCalledTimes(1);
  store.merge({ checkpoint_step: 40 });
  known.want();
  expect(request).toHaveBeenCalledTimes(2);
});

describe("the output", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** A server with an output, all of one byte a character. */
  function read(output: { text: string; ended: boolean; broken?: boolean }) {
    const asked: [number, number][] = [];
    let shown = "";
    let unread = -1;
    let trouble: unknown = null;
    const reader = new LogReader(
      async (offset, limit): Promise<LogPiece> => {
        asked.push([offset, limit]);
        if (output.broken) throw new Error("away");
        const size = output.text.length;
        const from = offset < 0 ? Math.max(0, size + offset) : Math.min(offset, size);
        const text = output.text.slice(from, from + limit);
        return { offset: from, next_offset: from + text.length, size, text };
      },
      {
        begin: (bytes_before) => {
          unread = bytes_before;
          shown = "";
        },
        text: (text) => (shown += text),
        trouble: (error) => (trouble = error),
      },
      () => output.ended,
    );
    return { reader, asked, text: () => shown, unread: () => unread, trouble: () => trouble };
  }

  test("is followed while it is looked at, and not else", async () => {
    const output = { text: "one\n", ended: false };
    const { reader, asked, text } = read(output);
    reader.show(true);
    await vi.advanceTimersByTimeAsync(100);
    expect(text()).toBe("one\n");
    output.text += "two\n";
    await vi.advanceTimersByTimeAsync(2_000);
    expect(text()).toBe("one\ntwo\n");
    reader.show(false);
    const before = asked.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(before);
    output.text += "three\n";
    reader.show(true);
    await vi.advanceTimersByTimeAsync(100);
    expect(text()).toBe("one\ntwo\nthree\n");
  });

  test("of an ended job is read to its end once, and again when the job goes on", async () => {
    const output = { text: "all\n", ended: true };
    const { reader, asked, text } = read(output);
    reader.show(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(2);
    reader.wake();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(2);
    output.ended = false;
    output.text += "more\n";
    reader.wake();
    await vi.advanceTimersByTimeAsync(100);
    expect(text()).toBe("all\nmore\n");
  });

  test("begins near its end with a whole line, and from its beginning when asked to", async () => {
    const lines = Array.from({ length: 300_000 }, (_, k) => `line ${k}\n`).join("");
    const { reader, text, unread } = read({ text: lines, ended: true });
    reader.show(true);
    await vi.advanceTimersByTimeAsync(100);
    expect(text().startsWith("line ")).toBe(true);
    expect(unread()).toBe(lines.length - TAIL_BYTES);
    const all = reader.readAll();
    await vi.advanceTimersByTimeAsync(1_000);
    await all;
    expect(unread()).toBe(0);
    expect(text() === lines).toBe(true);
    expect(lines.length).toBeLessThan(MOST_BYTES);
  });

  test("that can't be read is asked for again, and it is said", async () => {
    const output = { text: "one\n", ended: false, broken: true };
    const { reader, text, trouble } = read(output);
    reader.show(true);
    await vi.advanceTimersByTimeAsync(100);
    expect(trouble()).toBeInstanceOf(Error);
    output.broken = false;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(trouble()).toBeNull();
    expect(text()).toBe("one\n");
  });

  test("that is another one by now is read anew", async () => {
    const output = { text: "a long first one\n", ended: false };
    const { reader, text } = read(output);
    reader.show(true);
    await vi.advanceTimersByTimeAsync(100);
    output.text = "short\n";
    await vi.advanceTimersByTimeAsync(2_000);
    expect(text()).toBe("short\n");
  });
});
