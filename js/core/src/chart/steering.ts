// Going through a plot: the cursor from point to point, and which part of the axis is seen, by pointer and by keyboard.

import type { Lens, Range } from "../data/lens";
import type { Line } from "../data/line";
import { moved, zoomed, type Cursor } from "./cursor";
import { listenToPointer } from "./pointer";
import { nearest, neighbour } from "./readings";
import { LINEAR } from "./scales";
import type { Scene } from "./scene";

export type Move = "first" | "last" | "next" | "previous";

/** What a plot shows now. */
export interface Shown {
  scene: Scene;
  /** All of the axis that there is. */
  full: Range;
  lines: readonly Line[];
}

/** A part of the axis no shorter than this is looked at. */
const LEAST = { step: 2, epoch: 1e-6, elapsed: 1e-3, clock: 1e-3 };

export class Steering {
  constructor(
    private readonly lens: Lens,
    private readonly cursor: Cursor,
    private readonly shown: () => Shown,
  ) {}

  /** Moves the cursor to a point. */
  move(to: Move): void {
    const { cursor } = this;
    const { scene, lines } = this.shown();
    const { seen } = scene;
    const from = cursor.x;
    const inside = (x: number | null): x is number => x !== null && x >= seen.min && x <= seen.max;
    // The point nearest to an edge may lie beyond it.
    const edge = (place: number, forward: boolean): number | null => {
      const near = nearest(lines, place);
      return inside(near) ? near : neighbour(lines, place, forward);
    };
    let x: number | null;
    if (to === "first" || (from === null && to === "next")) x = edge(seen.min, true);
    else if (to === "last" || from === null) x = edge(seen.max, false);
    else x = neighbour(lines, from, to === "next");
    if (inside(x)) cursor.set(x);
  }

  /** Shows so much more (above 1) or less of the axis, about the cursor or else the middle. */
  zoomBy(factor: number): void {
    const { x, seen } = this.shown().scene;
    const at = this.cursor.x;
    const inside = at !== null && at >= seen.min && at <= seen.max;
    this.zoom(inside ? x.to(at) : (x.to(seen.min) + x.to(seen.max)) / 2, factor);
  }

  /** Listens on the plotting area; the returned function stops that. */
  listen(over: HTMLElement, select: (from: number, to: number) => void): () => void {
    const { lens, cursor } = this;
    const place = (left: number): number => {
      const { min, max } = this.places(this.shown().scene.seen);
      return min + (left / over.clientWidth) * (max - min);
    };
    const value = (left: number): number => this.shown().scene.x.from(place(left));
    return listenToPointer(over, {
      point: (left) => cursor.set(left === null ? null : nearest(this.shown().lines, value(left))),
      select,
      choose: (from, to) => {
        const chosen = { min: value(from), max: value(to) };
        if (chosen.max - chosen.min >= LEAST[lens.state.axis] / 2) lens.set({ zoom: chosen });
      },
      pan: (by) => {
        const { zoom } = lens.state;
        if (zoom) this.look(moved(this.places(zoom), place(0) - place(by), this.places(this.shown().full)));
      },
      zoom: (left, factor) => this.zoom(place(left), factor),
      reset: () => lens.set({ zoom: null }),
    });
  }

  private places({ min, max }: Range): Range {
    const { x } = this.shown().scene;
    return { min: x.to(min), max: x.to(max) };
  }

  private zoom(about: number, factor: number): void {
    const { scene, full } = this.shown();
    const { axis, zoom } = this.lens.state;
    const least = scene.x === LINEAR ? LEAST[axis] : 0.01;
    this.look(zoomed(this.places(zoom ?? full), about, factor, this.places(full), least));
  }

  private look(range: Range | null): void {
    const { x } = this.shown().scene;
    this.lens.set({ zoom: range && { min: x.from(range.min), max: x.from(range.max) } });
  }
}
