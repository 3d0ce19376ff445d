// How what happened to a training is drawn: a thin line with a word beside it, or but a tick where there is much of it.

import type { PlacedMark } from "../data/marks";
import type { Box, Ink } from "./ink";
import type { Scale } from "./scales";

/** More lines of one kind than this would be a fence: then only the newest has one. */
const MOST_LINES = 6;
const SIZE = 10;
const TICK = 5;
const APART = 3;

export interface MarkColors {
  line: string;
  alert: string;
  background: string;
}

/** `labelled`: with lines and words, else with ticks alone. */
export function markInk(marks: readonly PlacedMark[], x: Scale, box: Box, ratio: number, labelled: boolean, colors: MarkColors): Ink[] {
  const seen = marks.map((mark) => ({ mark, at: x(mark.x) })).filter(({ at }) => at >= box.left && at <= box.left + box.width);
  const counts = new Map<string, number>();
  for (const { mark } of seen) counts.set(mark.kind, (counts.get(mark.kind) ?? 0) + 1);
  const inks: Ink[] = [];
  const words: Ink[] = [];
  let free = box.left;
  let last = -Infinity;
  seen.forEach(({ mark, at }, k) => {
    const color = mark.kind === "alert" ? colors.alert : colors.line;
    const newest = !seen.slice(k + 1).some((other) => other.mark.kind === mark.kind);
    const full = labelled && (newest || counts.get(mark.kind)! <= MOST_LINES);
    if (!full && at - last < APART * ratio) return;
    last = at;
    const bottom = box.top + (full ? box.height : TICK * ratio);
    inks.push({ kind: "line", points: [at, box.top, at, bottom], color, width: ratio, alpha: full ? 0.7 : 0.8, dash: full ? [3 * ratio, 3 * ratio] : undefined });
    if (mark.kind === "alert") inks.push({ kind: "shapes", color, shapes: [diamond(at, box.top + TICK * ratio, TICK * ratio)] });
    if (!full) return;
    const wide = mark.label.length * SIZE * 0.58 * ratio;
    const gap = (mark.kind === "alert" ? TICK + 4 : 4) * ratio;
    const right = at + gap + wide <= box.left + box.width;
    const left = right ? at + gap : at - gap - wide;
    if (left < free) return;
    free = left + wide + 8 * ratio;
    words.push({ kind: "text", x: right ? at + gap : at - gap, y: box.top + SIZE * ratio, text: mark.label, color: colors.line, size: SIZE * ratio, align: right ? "start" : "end", behind: colors.background });
  });
  return [...inks, ...words];
}

function diamond(x: number, y: number, size: number): number[] {
  return [x, y - size, x + size, y, x, y + size, x - size, y];
}
