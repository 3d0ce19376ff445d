// The time that is left counts down, and is corrected seldom.
import { describe, expect, test } from "vitest";
import { secondsLeft, settle, type Eta } from "../src/data/eta";
import { dice } from "./dice";

const NOW = 1_800_000_000_000;

/** What a page shows each second of a training of so many one-second steps, estimated as `estimate` does. */
function shown(steps: number, estimate: (left: number, k: number) => number): number[] {
  let eta: Eta | null = null;
  return Array.from({ length: steps }, (_, k) => {
    eta = settle(eta, estimate(steps - k, k), String(k), NOW + k * 1000);
    return secondsLeft(eta!, NOW + k * 1000)!;
  });
}

/** How often it went up, and how often it fell by more than the time that passed. */
function corrections(left: readonly number[]): [number, number] {
  const steps = left.slice(1).map((value, k) => value - left[k]!);
  return [steps.filter((step) => step > 0).length, steps.filter((step) => step < -2).length];
}

describe("a countdown", () => {
  test("an estimate that is right is shown as it is", () => {
    const left = shown(600, (exact) => exact);
    expect(left.slice(0, 3)).toEqual([600, 599, 598]);
    expect(corrections(left)).toEqual([0, 0]);
  });

  test("noise of a fifth around what is right moves it a few times at the most", () => {
    const roll = dice(5);
    const left = shown(1200, (exact) => exact * (0.8 + 0.4 * roll()));
    const [up, down] = corrections(left);
    expect(up + down).toBeLessThanOrEqual(6);
    left.forEach((value, k) => k > 30 && expect(Math.abs(value - (1200 - k))).toBeLessThan(Math.max(15, 0.2 * (1200 - k))));
  });

  test("a training that becomes twice as slow is told to be, once and for good", () => {
    const left = shown(600, (exact, k) => (k < 100 ? exact : exact * 2));
    expect(left[99]).toBeLessThan(510);
    expect(left[300]).toBeGreaterThan(500);
    const [up] = corrections(left.slice(0, 300));
    expect(up).toBeLessThanOrEqual(12);
  });
});

test("it counts on between two steps, waits at one second for what takes longer, and then for nobody", () => {
  const eta = settle(null, 100, "1", NOW)!;
  expect(secondsLeft(settle(eta, 100, "1", NOW + 40_000)!, NOW + 40_000)).toBe(60);
  expect(secondsLeft(eta, NOW + 105_000)).toBe(1);
  expect(secondsLeft(eta, NOW + 400_000)).toBeNull();
});

test("what is not known is not shown, and what comes behind it begins anew", () => {
  const eta = settle(null, 100, "1", NOW);
  expect(settle(eta, null, "2", NOW)).toBeNull();
  expect(secondsLeft(settle(null, 30, "3", NOW)!, NOW)).toBe(30);
});
