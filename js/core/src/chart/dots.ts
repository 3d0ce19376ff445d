// The rings on the curves at the place that is pointed at. Elements, so that pointing draws no curve anew.

export interface Dot {
  left: number;
  top: number;
  color: string;
}

const SIZE = 8;

export class HoverDots {
  readonly element = document.createElement("div");
  private readonly dots: HTMLElement[] = [];

  /** In CSS pixels of the plotting area; colours are custom properties. */
  show(dots: readonly Dot[]): void {
    while (this.dots.length < dots.length) {
      const dot = document.createElement("span");
      dot.style.cssText = `position: absolute; width: ${SIZE}px; height: ${SIZE}px; margin: -${SIZE / 2}px; box-sizing: border-box; border-radius: 50%; background: var(--tl-bg); pointer-events: none; border: 1.6px solid`;
      this.dots.push(dot);
      this.element.append(dot);
    }
    this.dots.forEach((dot, k) => {
      const at = dots[k];
      dot.hidden = at === undefined;
      if (!at) return;
      dot.style.transform = `translate(${at.left}px, ${at.top}px)`;
      dot.style.borderColor = `var(${at.color})`;
    });
  }
}
