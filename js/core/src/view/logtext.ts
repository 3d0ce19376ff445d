// Lines of output on the page, however many: in blocks, of which only those near the reader hold their lines.

import { parts, type Found, type Part } from "../data/find";
import { BOLD, DIM, ITALIC, REVERSE, STRIKE, UNDERLINE, groundColor, textColor, type Line } from "../data/terminal";
import { h, setAttribute } from "./dom";

const BLOCK_LINES = 200;
const LINE_PX = 18;
/** So far beyond its edges the view is filled, in pixels. */
const MARGIN_PX = 800;

export interface LogText {
  /** What scrolls. */
  element: HTMLElement;
  /** The lines as they are, of which the first has the number `first`; those before the number `changed` are as they were. */
  show(lines: readonly Line[], first: number, changed: number): void;
  /** Marks what was found, one of it as the one that counts. */
  mark(found: readonly Found[], current: Found | null): void;
  /** Brings the one that counts into view. */
  reveal(): void;
  /** Whether the end stays in view as lines come. */
  following: boolean;
}

interface Block {
  element: HTMLElement;
  filled: boolean;
}

export function logText(label: string, onFollow: () => void, signal: AbortSignal): LogText {
  const inner = h("div", { class: "tl-log-lines" });
  const element = h("div", { class: "tl-log-text", tabindex: 0, role: "region", "aria-label": label }, inner);
  /** By number, so that blocks stay what they are when old lines go. */
  const blocks = new Map<number, Block>();
  let lines: readonly Line[] = [];
  let first = 0;
  /** What was found, by line. */
  let found = new Map<number, Found[]>();
  let current: Found | null = null;
  let following = true;

  const blockOf = (line: number): number => Math.floor(line / BLOCK_LINES);
  const range = (k: number): [number, number] => [Math.max(first, k * BLOCK_LINES), Math.min(first + lines.length, (k + 1) * BLOCK_LINES)];

  const lineElement = (number: number): HTMLElement => {
    const here = found.get(number) ?? [];
    return h("div", { class: "tl-line" }, ...parts(lines[number - first]!, here).map((part) => partNode(part, here[part.found] === current)));
  };

  /** Fills a block anew from the line `changed` on; the lines before it stay, and so does what is selected in them. */
  const fill = (k: number, changed = 0): void => {
    const block = blocks.get(k);
    if (!block) return;
    const [from, to] = range(k);
    const keep = block.filled ? Math.max(0, Math.min(changed - from, block.element.childElementCount)) : 0;
    while (block.element.childElementCount > keep) block.element.lastElementChild!.remove();
    for (let number = from + keep; number < to; number += 1) block.element.append(lineElement(number));
    block.filled = true;
    block.element.style.height = "";
  };

  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting, boundingClientRect } of entries) {
        const k = Number((target as HTMLElement).dataset.block);
        const block = blocks.get(k);
        if (!block || isIntersecting === block.filled) continue;
        if (isIntersecting) fill(k);
        // Nothing is measured while it is hidden. One that is the last grows.
        else if (boundingClientRect.height > 0 && k !== blockOf(first + lines.length - 1)) {
          block.element.style.height = `${boundingClientRect.height}px`;
          block.element.replaceChildren();
          block.filled = false;
        }
      }
      stick();
    },
    { root: element, rootMargin: `${MARGIN_PX}px 0px` },
  );
  const stick = (): void => {
    if (following) element.scrollTop = element.scrollHeight;
  };
  // Taller by a scroll bar, narrower by a window: the end stays in view.
  const resized = new ResizeObserver(stick);
  resized.observe(element);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    resized.disconnect();
  });
  let was = 0;
  element.addEventListener("scroll", () => {
    const { scrollTop, scrollHeight, clientHeight } = element;
    const at_end = scrollHeight - scrollTop - clientHeight < LINE_PX;
    // Only who scrolls up stops following: lines that come meanwhile move the end away as well.
    const next = at_end || (following && scrollTop >= was);
    was = scrollTop;
    if (next === following) return;
    following = next;
    onFollow();
  });

  return {
    element,
    get following() {
      return following;
    },
    set following(value) {
      following = value;
      stick();
    },
    show(all, number, changed) {
      const moved = number !== first;
      lines = all;
      first = number;
      const [begin, end] = [blockOf(first), blockOf(first + lines.length - 1)];
      for (const [k, block] of blocks) {
        if (k >= begin && k <= end) continue;
        observer.unobserve(block.element);
        block.element.remove();
        blocks.delete(k);
      }
      for (let k = begin; k <= end; k += 1) {
        const block = blocks.get(k);
        const [from, to] = range(k);
        if (!block) {
          const made = h("div", { "data-block": k, style: `height: ${(to - from) * LINE_PX}px` });
          blocks.set(k, { element: made, filled: false });
          inner.append(made);
          observer.observe(made);
        } else if (to > changed || (moved && k === begin)) {
          if (block.filled) fill(k, moved && k === begin ? 0 : changed);
          else block.element.style.height = `${(to - from) * LINE_PX}px`;
        }
      }
      if (following) for (const k of [end - 1, end]) if (blocks.get(k)?.filled === false) fill(k);
      stick();
    },
    mark(all, now) {
      found = new Map();
      for (const place of all) {
        const here = found.get(place.line);
        if (here) here.push(place);
        else found.set(place.line, [place]);
      }
      current = now;
      for (const [k, block] of blocks) if (block.filled) fill(k);
    },
    reveal() {
      const block = current && blocks.get(blockOf(current.line));
      if (!block) return;
      following = false;
      onFollow();
      if (!block.filled) fill(blockOf(current!.line));
      const mark = block.element.querySelector("mark[data-current]");
      if (mark) element.scrollTop += mark.getBoundingClientRect().top - element.getBoundingClientRect().top - element.clientHeight / 3;
    },
  };
}

const STYLES: readonly [number, string][] = [
  [BOLD, "bold"],
  [DIM, "faint"],
  [ITALIC, "italic"],
  [UNDERLINE, "under"],
  [STRIKE, "strike"],
  [REVERSE, "reverse"],
];

/** Output as a terminal shows it, where all of it is on the page at once. */
export function lineNodes(line: Line): Node[] {
  return parts(line, []).map((part) => partNode(part, false));
}

function partNode({ text, look, found }: Part, current: boolean): Node {
  const styles = STYLES.filter(([bit]) => look & bit).map(([, name]) => `tl-${name}`);
  // On a coloured ground text has the theme's own colour: a program's choice of two may not go together.
  if (groundColor(look)) styles.push(`tl-ground-${groundColor(look)}`);
  else if (textColor(look)) styles.push(`tl-text-${textColor(look)}`);
  if (!look && found < 0) return document.createTextNode(text);
  const element = h(found < 0 ? "span" : "mark", { class: styles.join(" ") || null }, text);
  setAttribute(element, "data-current", current && found >= 0 ? "" : null);
  return element;
}
