// What lies over a plot while one points at it: a line through all curves, rings on them, and the stretch that is being chosen.
// Elements, so that pointing draws no curve anew.

export interface Dot {
  left: number;
  top: number;
  color: string;
}

export class Overlay {
  readonly element = document.createElement("div");
  private readonly line = this.add("div", "tl-cursor");
  private readonly chosen = this.add("div", "tl-chosen");
  private readonly dots: HTMLElement[] = [];

  constructor() {
    this.show(null, []);
    this.choose(0, 0);
  }

  /** Where one points, and what is there; in CSS pixels of the plotting area, colours are custom properties. */
  show(left: number | null, dots: readonly Dot[]): void {
    this.line.hidden = left === null;
    this.line.style.transform = `translate(${left ?? 0}px)`;
    while (this.dots.length < dots.length) this.dots.push(this.add("span", "tl-dot"));
    this.dots.forEach((dot, k) => {
      const at = dots[k];
      dot.hidden = at === undefined;
      if (!at) return;
      dot.style.transform = `translate(${at.left}px, ${at.top}px)`;
      dot.style.borderColor = `var(${at.color})`;
    });
  }

  /** Marks a stretch of the plotting area; none between a place and itself. */
  choose(from: number, to: number): void {
    this.chosen.hidden = from === to;
    this.chosen.style.left = `${Math.min(from, to)}px`;
    this.chosen.style.width = `${Math.abs(to - from)}px`;
  }

  private add(tag: string, name: string): HTMLElement {
    const element = document.createElement(tag);
    element.className = name;
    this.element.append(element);
    return element;
  }
}
