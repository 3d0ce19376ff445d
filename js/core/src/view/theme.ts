// The theme's colours for what CSS cannot paint, and word of a theme switch.

/**
 * Looks up a custom property as it stands on `element`, once for all drawing that is done in one go: after a change of
 * the page each look costs a new computation of its styles.
 */
export function colorsOf(element: Element): (property: string) => string {
  const style = getComputedStyle(element);
  const known = new Map<string, string>();
  return (property) => {
    let color = known.get(property);
    if (color === undefined) {
      if (known.size === 0) queueMicrotask(() => known.clear());
      known.set(property, (color = style.getPropertyValue(property).trim() || "gray"));
    }
    return color;
  };
}

/** Calls `changed` after Jupyter, or the system, went from light to dark or back. */
export function onThemeChange(changed: () => void, signal: AbortSignal): void {
  // Jupyter sets the attribute before the new theme's style sheet applies: look again when it surely does.
  const later = (): void => {
    changed();
    const timer = setTimeout(changed, 300);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  };
  const observer = new MutationObserver(later);
  observer.observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"],
  });
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later, { signal });
}
