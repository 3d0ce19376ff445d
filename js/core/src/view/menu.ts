// What opens at a button and closes by itself: the browser's own popover, which is above everything and knows Escape.

import { h } from "./dom";

/** Room that is left to the page's edges, how wide one is at most, and the least height worth opening downwards, in CSS pixels. */
const [EDGE, WIDEST, LEAST_HEIGHT] = [8, 340, 240];

export interface Menu {
  element: HTMLElement;
  /** Has a button open it; `before` fills it each time. */
  attach(button: HTMLButtonElement, before?: () => void): void;
  close(): void;
}

export function menu(label: string, signal: AbortSignal, ...content: HTMLElement[]): Menu {
  const element = h("div", { class: "tl-menu", popover: "auto", role: "group", "aria-label": label }, ...content);
  let anchor: HTMLElement | null = null;
  let stood = 0;

  element.addEventListener("beforetoggle", (event) => {
    if ((event as ToggleEvent).newState !== "open" || !anchor) return;
    const { top, bottom, right } = anchor.getBoundingClientRect();
    stood = top;
    const below = innerHeight - bottom - EDGE;
    const up = below < LEAST_HEIGHT && top > below;
    Object.assign(element.style, {
      inset: "auto",
      right: `${Math.max(EDGE, Math.min(innerWidth - right, innerWidth - WIDEST - EDGE))}px`,
      [up ? "bottom" : "top"]: `${(up ? innerHeight - top : bottom) + 4}px`,
      maxHeight: `${(up ? top : below) - EDGE}px`,
    });
  });
  const close = (): void => {
    if (element.matches(":popover-open")) element.hidePopover();
  };
  // It stands where the button stood; when the page moves beneath it, it goes. Word of a movement may come behind the click.
  document.addEventListener("scroll", () => anchor && Math.abs(anchor.getBoundingClientRect().top - stood) > 1 && close(), { capture: true, passive: true, signal });

  return {
    element,
    close,
    attach(button, before) {
      button.popoverTargetElement = element;
      button.addEventListener("click", () => {
        anchor = button;
        before?.();
      });
    },
  };
}

export function menuItem(text: string, act: () => void): HTMLButtonElement {
  const button = h("button", { type: "button", class: "tl-menu-item" }, text);
  button.addEventListener("click", act);
  return button;
}

/** A box to tick with its words; `change` is told what it has become. */
export function tickBox(text: string, change: (ticked: boolean) => void): { element: HTMLElement; box: HTMLInputElement } {
  const box = h("input", { type: "checkbox" });
  box.addEventListener("change", () => change(box.checked));
  return { element: h("label", { class: "tl-menu-item" }, box, h("span", {}, text)), box };
}
