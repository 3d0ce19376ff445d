// Where one points, shared by all plots of a view: hovering over one reads all of them.

import type { Range } from "../data/lens";

export class Cursor {
  /** In units of the lens' axis; null while nobody points. */
  x: number | null = null;
  private readonly listeners = new Set<() => void>();

  set(x: number | null): void {
    if (x === this.x) return;
    this.x = x;
    for (const listener of this.listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** A range moved or made larger about one of its places, kept within another; null where it is all of that. */
export function zoomed(range: Range, about: number, factor: number, full: Range, least: number): Range | null {
  const span = Math.max(least, (range.max - range.min) * factor);
  if (span >= full.max - full.min) return null;
  const share = (about - range.min) / (range.max - range.min);
  return within(about - share * span, span, full);
}

export function moved(range: Range, by: number, full: Range): Range {
  return within(range.min + by, range.max - range.min, full);
}

function within(min: number, span: number, full: Range): Range {
  const from = Math.max(full.min, Math.min(min, full.max - span));
  return { min: from, max: from + span };
}
