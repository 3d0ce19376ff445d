// Where the columns of a band, spikes and marks stand: pure, in canvas pixels.

import type { Grain } from "../data/bucket";
import { middleOf, type Group } from "./groups";
import type { Scale } from "./scales";

export interface Column {
  left: number;
  right: number;
  min: number;
  max: number;
}

/** What lies between least and greatest, in columns of whole pixels that never overlap, of one at least. */
export function bandColumns(groups: readonly Group[], grain: Grain, x: Scale, y: Scale): Column[] {
  const columns: Column[] = [];
  for (const { x0, width, min, max } of groups) {
    if (min === null || max === null || min === max) continue;
    // On a logarithmic scale what is not above zero has no place: the band goes down as far as there are pixels.
    const [low, high] = [y(min), y(max)];
    const [from, to] = [x(x0 - grain / 2), x(x0 + width - grain / 2)];
    if (Number.isNaN(high) || Number.isNaN(to)) continue;
    const left = Math.max(Number.isNaN(from) ? Math.round(to) - 1 : Math.round(from), columns[columns.length - 1]?.right ?? -Infinity);
    columns.push({ left, right: Math.max(left + 1, Math.round(to)), min: Number.isNaN(low) ? BELOW : low, max: high });
  }
  return columns;
}

/** Below all that is seen; for infinity the canvas draws nothing. */
const BELOW = -1e5;

/**
 * What stands out from the columns beside it by more than `tall`, and would be too faint in a band; `thin` is how wide it
 * is drawn. It must begin among them: a steep slope is no spike.
 */
export function spikes(columns: readonly Column[], tall: number, thin: number): Column[] {
  const found: Column[] = [];
  columns.forEach(({ left, right, min, max }, k) => {
    if (max - min <= tall) return;
    const beside = columns.slice(Math.max(0, k - 1), k + 2).filter((other) => other.right === left || other.left === right);
    const among = beside.map((other) => (other.min + other.max) / 2);
    const above = Math.max(min, ...beside.map((other) => other.max));
    const below = beside.length > 0 ? Math.min(max, ...beside.map((other) => other.min)) : min;
    const from = Math.round((left + right - thin) / 2);
    if (max - above > tall && (beside.length === 0 || min <= Math.max(...among))) found.push({ left: from, right: from + thin, min: above, max });
    if (below - min > tall && max >= Math.min(...among)) found.push({ left: from, right: from + thin, min, max: below });
  });
  return found;
}

/** The x of each mark for values that are not finite; those that would cover one another share one. */
export function badMarks(groups: readonly Group[], grain: Grain, x: Scale, size: number): number[] {
  const marks: number[] = [];
  for (const group of groups) {
    if (group.bad === 0) continue;
    const at = x(middleOf(group, grain));
    if (marks.length === 0 || at - marks[marks.length - 1]! >= size) marks.push(at);
  }
  return marks;
}
