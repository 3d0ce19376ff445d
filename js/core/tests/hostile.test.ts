// @vitest-environment happy-dom
// What comes from outside and goes into attributes, sentences and tables.
import { expect, test } from "vitest";
import { shortened, visible } from "../src/data/visible";
import { h, setAttribute } from "../src/view/dom";
import { csv } from "../src/view/export";

test("what hides or turns around is shown, in tooltips too", () => {
  const evil = "a\u202eb\u0000";
  const shown = "a\ufffdb\u2400";
  expect(visible(evil)).toBe(shown);
  const element = h("button", { title: evil, "aria-label": evil, value: evil }, evil);
  setAttribute(element, "title", evil);
  expect([element.title, element.getAttribute("aria-label"), element.textContent]).toEqual([shown, shown, shown]);
  // What is sent back stays what it is.
  expect(element.value).toBe(evil);
});

test("a name is cut where a sentence has no room for it, and never within a character", () => {
  expect(shortened("short", 5)).toBe("short");
  expect(shortened("longer", 5)).toBe("longe…");
  expect(shortened("four\u{1f600}!", 5)).toBe("four…");
});

test("a table has no cell that a spreadsheet would compute", () => {
  const cells = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\uff1d1", "-1.5e-4", "-inf", "nan", 'a "b",\n'];
  const lines = csv(["x"], cells.map((cell) => [cell])).split("\r\n");
  const safe = ["'=1+1", "'+1+cmd|' /C calc'!A0", "'-2+3", "'@SUM(A1)", "'\t=1", "'\uff1d1", "-1.5e-4", "-inf", "nan", '"a ""b"",\n"', ""];
  expect(lines).toEqual(["x", ...safe]);
});
