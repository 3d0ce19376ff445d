// What a connection needs from the world: time, chance, and news of the page. A test hands in its own.

export interface Surroundings {
  now(): number;
  random(): number;
  /** Runs `task` once after `ms`; the returned function calls it off. */
  after(ms: number, task: () => void): () => void;
  /** Calls `woken` when a retry has new hope; the returned function stops that. */
  onWake(woken: () => void): () => void;
  /** The width of the widest chart that there may be, in device pixels: what a long history is made for. */
  chartPixels(): number;
}

export const browser: Surroundings = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, task) {
    const id = setTimeout(task, ms);
    return () => clearTimeout(id);
  },
  onWake(woken) {
    const seen = (): void => {
      if (!document.hidden) woken();
    };
    window.addEventListener("online", woken);
    document.addEventListener("visibilitychange", seen);
    return () => {
      window.removeEventListener("online", woken);
      document.removeEventListener("visibilitychange", seen);
    };
  },
  chartPixels: () => Math.min(4_000, Math.max(600, Math.round(window.innerWidth * window.devicePixelRatio))),
};
