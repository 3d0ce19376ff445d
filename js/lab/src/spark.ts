// A job's loss in the size of a word, as the list of jobs brings it.

import { setAttribute, svg } from "@jupyter-trainlive/core";

const WIDTH = 64;
const HEIGHT = 20;
/** Half of the line's width, so that it is not cut off at the edges. */
const EDGE = 1;

/** The line through the values, from edge to edge; what is unknown leaves a gap. */
export function sparkPath(values: readonly (number | null)[]): string {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value));
  const low = Math.min(...known);
  const high = Math.max(...known);
  const round = (value: number): number => Math.round(value * 10) / 10;
  const x = (k: number): number => round(EDGE + (k / Math.max(1, values.length - 1)) * (WIDTH - 2 * EDGE));
  const y = (value: number): number =>
    round(high === low ? HEIGHT / 2 : EDGE + ((high - value) / (high - low)) * (HEIGHT - 2 * EDGE));
  let path = "";
  let drawing = false;
  values.forEach((value, k) => {
    const point = value !== null && Number.isFinite(value);
    if (point) path += `${drawing ? "L" : "M"}${x(k)} ${y(value)}`;
    drawing = point;
  });
  return path;
}

/** It says nothing that the line beside it does not, so a screen reader passes it over. */
export function sparkline(): { element: SVGElement; show(values: readonly (number | null)[] | null | undefined): void } {
  const path = svg("path", { "vector-effect": "non-scaling-stroke" });
  const element = svg("svg", { class: "tl-spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, path);
  return {
    element,
    show(values) {
      const line = sparkPath(values ?? []);
      setAttribute(path, "d", line);
      // Without one there is more room for words.
      setAttribute(element, "hidden", line ? null : "");
    },
  };
}
