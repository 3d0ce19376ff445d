// Where a text stands in lines, upper and lower case alike.

import type { Line, Run } from "./terminal";

export interface Found {
  /** The line's number, and where in it. */
  line: number;
  from: number;
  to: number;
}

/** More are not counted: nobody walks through them. */
export const MOST_FOUND = 10_000;

/** All places in `lines`, of which the first has the number `first`; what is not searched for is found nowhere. */
export function findAll(lines: readonly Line[], first: number, wanted: string, most = MOST_FOUND): Found[] {
  const found: Found[] = [];
  if (!wanted) return found;
  const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi");
  for (const [k, { text }] of lines.entries()) {
    for (const match of text.matchAll(pattern)) {
      if (found.length === most) return found;
      found.push({ line: first + k, from: match.index, to: match.index + match[0].length });
    }
  }
  return found;
}

/** A part of a line that is shown in one way. */
export interface Part {
  text: string;
  look: number;
  /** Which of the places that were found it belongs to; -1 for none. */
  found: number;
}

/** A line cut where its look changes and where something was found; `found` are places in this line, in order. */
export function parts({ text, runs }: Line, found: readonly Found[]): Part[] {
  if (runs.length === 0 && found.length === 0) return text ? [{ text, look: 0, found: -1 }] : [];
  const cuts = new Set([0, text.length]);
  for (const { from, to } of [...runs, ...found]) cuts.add(from).add(to);
  const at = [...cuts].filter((cut) => cut <= text.length).sort((a, b) => a - b);
  const holds = (place: Run | Found, from: number): boolean => place.from <= from && from < place.to;
  return at.slice(0, -1).map((from, k) => ({
    text: text.slice(from, at[k + 1]),
    look: runs.find((run) => holds(run, from))?.look ?? 0,
    found: found.findIndex((place) => holds(place, from)),
  }));
}
