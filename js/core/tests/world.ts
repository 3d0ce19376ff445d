// What a connection needs from the world, in which time passes when a test says so.
import type { Surroundings } from "../src/wire/surroundings";

export class World implements Surroundings {
  time = 0;
  timers: { at: number; task: () => void }[] = [];
  woken = (): void => {};

  now = (): number => this.time;
  random = (): number => 0.5;
  chartPixels = (): number => 1000;
  after(ms: number, task: () => void): () => void {
    const timer = { at: this.time + ms, task };
    this.timers.push(timer);
    return () => (this.timers = this.timers.filter((other) => other !== timer));
  }
  onWake(woken: () => void): () => void {
    this.woken = woken;
    return () => (this.woken = () => {});
  }
}
