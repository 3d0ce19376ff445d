// Output as a terminal shows it, bounded, and with nothing in it that acts.
import { describe, expect, test } from "vitest";
import { findAll, parts } from "../src/data/find";
import { BOLD, Terminal, UNDERLINE, groundColor, textColor } from "../src/data/terminal";
import { dice } from "./dice";

function shown(...chunks: string[]): string[] {
  const terminal = new Terminal();
  for (const chunk of chunks) terminal.write(chunk);
  return terminal.lines.map(({ text }) => text);
}

describe("what a terminal carries out", () => {
  test("a progress bar is one line, however often it was drawn", () => {
    const drawn = Array.from({ length: 500 }, (_, k) => `\rstep ${k}/500`).join("");
    expect(shown(`${drawn}\ndone\n`)).toEqual(["step 499/500", "done", ""]);
    expect(shown("longer line\rshort")).toEqual(["shortr line"]);
    expect(shown("longer line\r\x1b[Kshort")).toEqual(["short"]);
    expect(shown("one\r\ntwo")).toEqual(["one", "two"]);
  });

  test("bars one below the other are drawn in their places", () => {
    expect(shown("a 0\nb 0\x1b[A\ra 1\n\rb 1\x1b[A\ra 2\n\n")).toEqual(["a 2", "b 1", ""]);
    expect(shown("first\nsecond\x1b[2K\x1b[1A\x1b[2K\rnew")).toEqual(["new", ""]);
    expect(shown("a\nb\nc\x1b[2A\r\x1b[J!")).toEqual(["!", "", ""]);
  });

  test("backspaces, tabs and columns", () => {
    expect(shown("12\b3")).toEqual(["13"]);
    expect(shown("a\tb\x1b[3G!")).toEqual(["a !     b"]);
  });

  test("no sequence is left over, in whatever pieces it comes", () => {
    const text = "\x1b[1;31mred\x1b[0m and \x1b]8;;https://example.org\x07a link\x1b]8;;\x07, \x1b]0;title\x1b\\\x1b(B\x1b[?25lquiet\x1b[2J\rr";
    const whole = shown(text);
    expect(whole).toEqual(["red and a link, quiet"]);
    for (let k = 0; k <= text.length; k += 1) expect(shown(text.slice(0, k), text.slice(k))).toEqual(whole);
    expect(shown(...text)).toEqual(whole);
  });

  test("what is no sequence stays to be seen", () => {
    expect(shown("a\x1b\x01b")).toEqual(["a␛␁b"]);
    expect(shown(`\x1b]${"x".repeat(5000)}`).join("")).toHaveLength(5002);
  });
});

describe("what might deceive", () => {
  test("markup is text, and what hides or turns the order around can be seen", () => {
    expect(shown("<img src=x onerror=alert(1)>")).toEqual(["<img src=x onerror=alert(1)>"]);
    expect(shown("\0\x7f\x9b\u202eevil\u2066")).toEqual(["␀␡\ufffd\ufffdevil\ufffd"]);
  });
});

describe("colours", () => {
  const looks = (text: string): [string, number, number][] => {
    const terminal = new Terminal();
    terminal.write(text);
    return parts(terminal.lines[0]!, []).map(({ text: part, look }) => [part, textColor(look), groundColor(look)]);
  };

  test("lie beside the text, as few as the theme has", () => {
    expect(looks("a\x1b[31mb\x1b[39mc\x1b[92;44md\x1b[me")).toEqual([
      ["a", 0, 0],
      ["b", 1, 0],
      ["c", 0, 0],
      ["d", 2, 4],
      ["e", 0, 0],
    ]);
    expect(looks("\x1b[38;2;250;30;40mred\x1b[38;5;27mblue\x1b[38:5:226myellow\x1b[38;2;0;0;0mplain").map(([, color]) => color)).toEqual([1, 4, 3, 0]);
  });

  test("a line that is drawn anew takes its colours along", () => {
    expect(looks("\x1b[31mred\x1b[0m\rno")).toEqual([
      ["no", 0, 0],
      ["d", 1, 0],
    ]);
    const terminal = new Terminal();
    terminal.write("\x1b[1;4mboth\x1b[22m under\x1b[24m none");
    expect(terminal.lines[0]!.runs).toEqual([
      { from: 0, to: 4, look: BOLD | UNDERLINE },
      { from: 4, to: 10, look: UNDERLINE },
    ]);
  });
});

describe("bounds", () => {
  test("of endless output the newest is kept, and lines keep their numbers", () => {
    const terminal = new Terminal({ lines: 100, characters: 1e6, columns: 80 });
    for (let k = 0; k < 1000; k += 1) terminal.write(`line ${k}\n`);
    expect(terminal.lines.length).toBeLessThanOrEqual(100);
    expect(terminal.lines.length).toBeGreaterThan(80);
    expect(terminal.lines[0]!.text).toBe(`line ${terminal.dropped}`);
  });

  test("a line without an end is many lines, and a few long ones are bounded too", () => {
    const terminal = new Terminal({ lines: 100, characters: 1000, columns: 80 });
    terminal.write("x".repeat(100_000));
    expect(terminal.lines.every(({ text }) => text.length <= 80)).toBe(true);
    expect(terminal.lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(1000);
  });

  test("ten megabytes are taken in without a pause that one feels", () => {
    const roll = dice(3);
    const line = (): string => `\x1b[2m12:00:00\x1b[0m step ${Math.floor(roll() * 1e6)} loss \x1b[32m${roll()}\x1b[0m\n`;
    const piece = Array.from({ length: 20_000 }, line).join("");
    const terminal = new Terminal();
    for (let sum = 0; sum < 10e6; sum += piece.length) terminal.write(piece);
    expect(terminal.lines.length).toBeLessThanOrEqual(300_000);
  });
});

test("who draws learns from which line on something changed", () => {
  const terminal = new Terminal();
  terminal.write("a\nb\nc");
  expect(terminal.takeChanged()).toBe(0);
  expect(terminal.takeChanged()).toBe(Infinity);
  terminal.write("d\n");
  expect(terminal.takeChanged()).toBe(2);
  terminal.write("\x1b[3A!");
  expect(terminal.takeChanged()).toBe(0);
});

describe("search", () => {
  test("finds every place, whatever its case, and takes no text for a pattern", () => {
    const terminal = new Terminal();
    terminal.write("Loss (a)\nno\nloss LOSS");
    expect(findAll(terminal.lines, 7, "loss").map(({ line, from }) => [line, from])).toEqual([
      [7, 0],
      [9, 0],
      [9, 5],
    ]);
    expect(findAll(terminal.lines, 0, "(a)")).toHaveLength(1);
    expect(findAll(terminal.lines, 0, "")).toEqual([]);
    expect(findAll(terminal.lines, 0, "o", 2)).toHaveLength(2);
  });

  test("what was found is marked within its colours", () => {
    const terminal = new Terminal();
    terminal.write("ab\x1b[31mcd\x1b[0mef");
    const found = findAll(terminal.lines, 0, "bcde");
    expect(parts(terminal.lines[0]!, found).map(({ text, look, found: place }) => [text, textColor(look), place])).toEqual([
      ["a", 0, -1],
      ["b", 0, 0],
      ["cd", 1, 0],
      ["e", 0, 0],
      ["f", 0, -1],
    ]);
  });
});
