// Parts of one job's curves as the server has them: asked for together, not too often, and gone on with as points come.

import type { PointsFrame, WindowFrame } from "../wire/frames";
import { Refined, type Look } from "./refined";
import type { Series } from "./series";
import type { Source } from "./source";

/** What a plot wants to see. */
export interface Wish {
  name: string;
  look: Look;
}

/** What a test hands in in place of the page's clock. */
export interface Clock {
  now(): number;
  after(ms: number, task: () => void): void;
}

const page: Clock = { now: () => performance.now(), after: (ms, task) => void setTimeout(task, ms) };

/** The server answers no more names at once. */
const MOST_NAMES = 16;
/** It lets eight wait; a zoom that goes on should not queue behind answers that nobody needs any more. */
const MOST_ASKED = 2;
/** A slider that moves and a wheel that turns ask no more often. */
const APART_MS = 70;
/** How soon an answer is asked for again of a curve that grows, where the points that come do not tell all of it. */
const AGAIN_MS = { epoch: 1_000, step: 15_000, time: 15_000 };
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** Answers kept that nobody wants now: zooming out and in again, and a slider that goes back, need not wait. */
const MOST_KEPT = 64;

export class Windows {
  private readonly entries = new Map<string, Refined>();
  /** Who wants which, by key; and who is told when something came. */
  private readonly wanted = new Map<() => void, ReadonlySet<string>>();
  private untap: (() => void) | null = null;
  private due: number | null = null;
  private next_at = -Infinity;
  private asked = 0;
  private failures = 0;

  constructor(
    private readonly source: Source,
    private readonly clock: Clock = page,
  ) {}

  /** Sets what `came` wants to see from now on, in place of what it wanted; it is called when an answer is there. */
  want(came: () => void, wishes: readonly Wish[]): void {
    const keys = new Set<string>();
    for (const { name, look } of wishes) {
      const key = keyOf(name, look);
      keys.add(key);
      const entry = this.entries.get(key) ?? new Refined(name, look);
      // Those last wanted stand last.
      this.entries.delete(key);
      this.entries.set(key, entry);
    }
    if (keys.size > 0) this.wanted.set(came, keys);
    else this.wanted.delete(came);
    if (this.wanted.size === 0) return this.rest();
    this.untap ??= this.source.store.tap((points) => this.hear(points));
    this.tidy();
    this.plan();
  }

  /** The curve of a wish, once there is an answer. */
  get({ name, look }: Wish): Series | null {
    return this.entries.get(keyOf(name, look))?.series ?? null;
  }

  /** Nobody looks: what is kept would no longer be gone on with. */
  private rest(): void {
    this.untap?.();
    this.untap = null;
    this.entries.clear();
  }

  private hear(points: PointsFrame | null): void {
    const now = this.clock.now();
    for (const entry of this.entries.values()) {
      if (points === null) entry.stale = true;
      else if (points.series[entry.name] && entry.take(points.seq, points.series[entry.name]!)) {
        if (now - entry.answered_at > AGAIN_MS[entry.look.axis]) entry.stale = true;
      }
    }
    this.plan();
  }

  private tidy(): void {
    const used = new Set<string>();
    for (const keys of this.wanted.values()) for (const key of keys) used.add(key);
    let spare = this.entries.size - used.size - MOST_KEPT;
    for (const [key, entry] of this.entries) {
      if (used.has(key)) continue;
      // One without an answer that nobody wants any more is out of date before it came.
      if (spare > 0 || (!entry.series && !entry.asking)) this.entries.delete(key);
      spare -= 1;
    }
  }

  private plan(): void {
    if (this.due !== null || this.asked >= MOST_ASKED || this.hungry().length === 0) return;
    const wait = Math.max(0, this.next_at - this.clock.now());
    this.due = this.clock.now() + wait;
    this.clock.after(wait, () => {
      this.due = null;
      this.ask();
    });
  }

  private hungry(): Refined[] {
    const keys = new Set([...this.wanted.values()].flatMap((each) => [...each]));
    return [...keys].flatMap((key) => this.entries.get(key) ?? []).filter((entry) => !entry.asking && (entry.stale || !entry.series));
  }

  private ask(): void {
    const groups = new Map<string, Refined[]>();
    for (const entry of this.hungry()) {
      const key = keyOf("", entry.look);
      const group = groups.get(key);
      if (group && group.length < MOST_NAMES) group.push(entry);
      else groups.set(group ? `${key} ${groups.size}` : key, [entry]);
    }
    for (const group of groups.values()) {
      if (this.asked >= MOST_ASKED) return;
      void this.askFor(group);
    }
  }

  private async askFor(group: Refined[]): Promise<void> {
    const { source, clock } = this;
    this.asked += 1;
    this.next_at = clock.now() + APART_MS;
    for (const entry of group) entry.begin(source.store);
    try {
      const frame: WindowFrame = await source.window({ ...group[0]!.look, names: group.map(({ name }) => name) });
      this.failures = 0;
      for (const entry of group) entry.answer(frame, clock.now(), source.store);
    } catch {
      // The server is away, or has not heard of the series yet. What is shown stays.
      for (const entry of group) entry.fail();
      this.next_at = clock.now() + Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
      this.failures += 1;
    }
    this.asked -= 1;
    const came = new Set(group.map(({ name, look }) => keyOf(name, look)));
    for (const [tell, keys] of [...this.wanted]) if ([...keys].some((key) => came.has(key))) tell();
    if (this.wanted.size > 0) this.plan();
  }
}

function keyOf(name: string, { axis, x0, x1, px, smoothing }: Look): string {
  return `${axis} ${x0} ${x1} ${px} ${smoothing} ${name}`;
}

const all = new WeakMap<Source, Windows>();

/** The windows of a source, shared by all plots that draw from it. */
export function windowsOf(source: Source): Windows {
  let windows = all.get(source);
  if (!windows) all.set(source, (windows = new Windows(source)));
  return windows;
}
