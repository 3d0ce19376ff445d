// The mouse on a plot: pointing, dragging a part to look at, and with a modifier the wheel and the hand. A wheel alone scrolls the page.

/** Places are in CSS pixels from the left of the plotting area. */
export interface PointerHandlers {
  point(left: number | null): void;
  /** A part is being chosen, or none any more. */
  select(from: number, to: number): void;
  choose(from: number, to: number): void;
  /** What was seen goes so far to the right. */
  pan(by: number): void;
  zoom(left: number, factor: number): void;
  reset(): void;
}

/** A shorter drag is a click. */
const LEAST_DRAG = 5;
/** How much of the axis one notch of a wheel, 100 pixels, takes away. */
const NOTCH = 0.002;

/** Listens on the plotting area; the returned function stops that. */
export function listenToPointer(over: HTMLElement, handlers: PointerHandlers): () => void {
  const listening = new AbortController();
  const { signal } = listening;
  let drag: { from: number; at: number; pan: boolean } | null = null;
  const leftOf = (event: MouseEvent): number => {
    const { left, width } = over.getBoundingClientRect();
    return Math.max(0, Math.min(width, event.clientX - left));
  };
  const end = (): void => {
    if (drag && !drag.pan) handlers.select(0, 0);
    drag = null;
  };
  // A finger that goes up or down scrolls the page; across it points.
  over.style.touchAction = "pan-y";

  over.addEventListener(
    "pointerdown",
    (event) => {
      handlers.point(leftOf(event));
      if (event.button !== 0 || event.pointerType === "touch") return;
      drag = { from: leftOf(event), at: leftOf(event), pan: event.shiftKey };
      over.setPointerCapture(event.pointerId);
      // No text is selected while a part of the plot is.
      event.preventDefault();
      over.closest<HTMLElement>("[tabindex]")?.focus({ preventScroll: true });
    },
    { signal },
  );
  over.addEventListener(
    "pointermove",
    (event) => {
      const left = leftOf(event);
      if (drag?.pan) {
        handlers.pan(left - drag.at);
        drag.at = left;
      } else if (drag) {
        drag.at = left;
        const far = Math.abs(left - drag.from) >= LEAST_DRAG;
        handlers.select(far ? drag.from : 0, far ? left : 0);
      }
      handlers.point(left);
    },
    { signal },
  );
  over.addEventListener(
    "pointerup",
    () => {
      const done = drag;
      end();
      if (done && !done.pan && Math.abs(done.at - done.from) >= LEAST_DRAG) handlers.choose(Math.min(done.from, done.at), Math.max(done.from, done.at));
    },
    { signal },
  );
  over.addEventListener("pointercancel", end, { signal });
  over.addEventListener(
    "pointerleave",
    () => {
      if (!drag) handlers.point(null);
    },
    { signal },
  );
  over.addEventListener("dblclick", () => handlers.reset(), { signal });
  over.addEventListener(
    "wheel",
    (event) => {
      const pixels = (event.deltaY || event.deltaX) * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1);
      // Two fingers that part come as a wheel with Ctrl.
      if (event.ctrlKey || event.metaKey) handlers.zoom(leftOf(event), Math.exp(Math.max(-300, Math.min(300, pixels)) * NOTCH));
      else if (event.shiftKey) handlers.pan(-pixels);
      else return;
      event.preventDefault();
    },
    { signal, passive: false },
  );
  return () => listening.abort();
}
