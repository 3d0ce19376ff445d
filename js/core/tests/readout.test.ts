// @vitest-environment happy-dom
// What the read-out says under the pointer.
import { expect, test } from "vitest";
import { nearest, readingsAt } from "../src/chart/readings";
import { Series } from "../src/data/series";
import { readoutRows } from "../src/view/readout";
import { lineOf } from "./lines";
import type { WireNumber } from "../src/wire/frames";

function series(name: string, steps: number[], value: (step: number) => WireNumber): Series {
  const made = new Series(name);
  made.append({ step: steps, time: steps.map(() => 0), value: steps.map(value) });
  return made;
}

/** What is read nearest to an x. */
function said(shown: Series[], x: number): string[] {
  const lines = shown.map((each) => lineOf(each));
  const curves = lines.map((line, k) => ({ line, label: shown[k]!.name.replace("_", " "), color: "--tl-a" }));
  const readings = readingsAt(curves, nearest(lines, x)!, "step", []);
  return readoutRows(readings, (k) => shown[k]!.name, false, true).map(({ textContent }) => textContent);
}

test("a step is exact while each has its bucket, and an eval loss holds until the next", () => {
  const shown = [series("loss", [1, 2, 3], (step) => (step === 3 ? "nan" : 4 - step)), series("eval_loss", [1], () => 2.5)];
  expect(said(shown, 2)).toEqual(["step 2", "loss2.000", "eval loss2.500"]);
  expect(said(shown, 3)).toEqual(["step 3", "lossNaN", "eval loss2.500"]);
});

test("a wide bucket tells its steps, its last value, the least and the greatest, and what was not finite", () => {
  const loss = series("loss", Array.from({ length: 9_000 }, (_, i) => i), (step) => [1, 5, "nan", "inf"][step % 4] as WireNumber);
  expect(said([loss], 9)).toEqual(["steps 8–11", "loss5.000", "1.000 … 5.000", "1 NaN, 1 ∞"]);
});

test("beside a wide curve one with exact steps is told by its own", () => {
  const loss = series("loss", Array.from({ length: 9_000 }, (_, i) => i), () => 1);
  const shown = [loss, series("eval_loss", [9], () => 2)];
  expect(said(shown, 9)).toEqual(["step 9", "loss1.000", "eval loss2.000"]);
  expect(said(shown, 9.4)).toEqual(["steps 8–11", "loss1.000", "eval loss2.000"]);
});

test("what was superseded at this step is told as the earlier value", () => {
  expect(said([series("loss", [1, 2, 3, 2], (step) => step)], 2)).toEqual(["step 2", "loss2.000", "earlier2.000"]);
});

test("what happened here is told below the values, and briefly", () => {
  const line = lineOf(series("loss", [1, 2], () => 1));
  const readings = readingsAt([{ line, label: "loss", color: "--tl-a" }], 2, "step", ["checkpoint 2", "x".repeat(500)]);
  expect(readoutRows(readings, () => "loss", false, true).map(({ textContent }) => textContent)).toEqual(["step 2", "loss1.000", "checkpoint 2", `${"x".repeat(60)}…`]);
});
