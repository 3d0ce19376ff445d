// Making elements. Text always enters as text, and none of it hides or turns anything around: names, errors and paths come
// from outside.

import { visible } from "../data/visible";

type Attributes = Record<string, string | number | boolean | null | undefined>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag: string, attributes: Attributes = {}, ...children: Node[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

/** What of an attribute is seen or heard is text like any other. */
const asShown = (name: string, value: string): string => (/^(title|alt|aria-|placeholder)/.test(name) ? visible(value) : value);

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    element.setAttribute(name, value === true ? "" : asShown(name, String(value)));
  }
}

// What has not changed is not touched: the page stays selectable, and nothing is laid out anew for nothing.

export function setText(element: Element, text: string): void {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

export function setAttribute(element: Element, name: string, value: string | null): void {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else {
    const shown = asShown(name, value);
    if (element.getAttribute(name) !== shown) element.setAttribute(name, shown);
  }
}

export function setShown(element: HTMLElement, shown: boolean): void {
  if (element.hidden === shown) element.hidden = !shown;
}

/**
 * A notebook's single-key shortcuts are not meant by keys that are pressed in here; those with a modifier are. Some hosts look
 * at keys on their way down, and all of them first at what the element itself says.
 */
export function keepKeys(node: HTMLElement, signal: AbortSignal): void {
  const mark = ({ target, ctrlKey, metaKey, altKey }: KeyboardEvent): void => {
    if (target instanceof Element && node.contains(target)) target.toggleAttribute("data-lm-suppress-shortcuts", !(ctrlKey || metaKey || altKey));
  };
  window.addEventListener("keydown", mark, { capture: true, signal });
}
