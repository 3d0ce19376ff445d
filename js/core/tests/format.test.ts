// Numbers and times as people read them.
import { expect, test } from "vitest";
import { age, count, duration, epochs, gigabytes, metric, ordinal, percent, rate, seriesTitle, span, stepsText, tick } from "../src/data/format";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test("metrics keep about the same width and never lie about what is not finite", () => {
  const pairs: [Parameters<typeof metric>[0], string][] = [
    [1.2141, "1.214"],
    [12.345, "12.35"],
    [123.45, "123.5"],
    [12345.6, "12,346"],
    [0.81, "0.810"],
    [0.0123, "0.0123"],
    [1.24e-4, "1.24e-4"],
    [3.2e9, "3.20e9"],
    [0, "0"],
    [-0.5, "−0.500"],
    ["nan", "NaN"],
    ["inf", "∞"],
    ["-inf", "−∞"],
    [null, "–"],
    [undefined, "–"],
  ];
  for (const [value, text] of pairs) expect(metric(value), String(value)).toBe(text);
});

test("counts, shares and rates", () => {
  expect(count(1860)).toBe("1,860");
  expect(count(null)).toBe("–");
  expect(plain(percent(62.9))).toBe("62 %");
  expect(plain(percent(99.99))).toBe("99 %");
  expect([1, 2, 3, 4, 11, 22].map(ordinal)).toEqual(["1st", "2nd", "3rd", "4th", "11th", "22nd"]);
  expect(epochs(1.8599)).toBe("1.9");
  expect(epochs(3)).toBe("3");
  expect([27.42, 0.3, 1234.5].map(rate)).toEqual(["27.4", "0.30", "1,235"]);
  expect([0, 0.5, 2000, 1e-4].map(tick)).toEqual(["0", "0.5", "2,000", "1e-4"]);
});

test("durations have at most two units", () => {
  expect([0, 45, 400, 4320, 3600, 183_600].map((s) => plain(duration(s)))).toEqual(["0 s", "45 s", "6 min 40 s", "1 h 12 min", "1 h", "2 d 3 h"]);
  expect([0.0042, 0.292, 1.239, 45.2].map((s) => plain(span(s)))).toEqual(["4.2 ms", "292 ms", "1.24 s", "45.2 s"]);
  expect([3.9, 75, 4000].map((s) => plain(age(s)))).toEqual(["3 s", "1 min", "1 h"]);
});

test("steps are exact where a bucket has one", () => {
  expect(stepsText(1860, 1)).toBe("step 1,860");
  expect(stepsText(4096, 4096)).toBe("steps 4,096–8,191");
});

test("memory", () => {
  expect(plain(gigabytes(18.5, 24))).toBe("18.5 / 24.0 GB");
  expect(plain(gigabytes(41.2, 128))).toBe("41 / 128 GB");
  expect(plain(gigabytes(null, 24))).toBe("– / 24.0 GB");
  expect(gigabytes(null, null)).toBe("–");
});

test("series are named in plain words", () => {
  expect(["learning_rate", "step_time_seconds", "train/accuracy"].map(seriesTitle)).toEqual(["learning rate", "step time", "train/accuracy"]);
});
