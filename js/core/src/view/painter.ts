// When to draw: at most once a frame, and not at all while nobody can see it.

/** Calls `draw` on the next frame after `request`, once `root` is on screen and the page is shown, until `signal` aborts. */
export function painter(root: Element, draw: () => void, signal: AbortSignal): () => void {
  let wanted = false;
  let frame = 0;
  let onScreen = typeof IntersectionObserver === "undefined";

  const schedule = (): void => {
    if (!wanted || frame || !onScreen || document.hidden || signal.aborted) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      wanted = false;
      draw();
    });
  };
  if (!onScreen) {
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1]?.isIntersecting ?? false;
      schedule();
    });
    observer.observe(root);
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  }
  document.addEventListener("visibilitychange", schedule, { signal });
  signal.addEventListener("abort", () => cancelAnimationFrame(frame), { once: true });
  return () => {
    wanted = true;
    schedule();
  };
}
