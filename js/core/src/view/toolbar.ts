// How all charts of a view are looked at: smoothing, axes, and behind a button what is chosen more rarely.

import type { Axis, Lens, LensState } from "../data/lens";
import { __ } from "../i18n";
import { h, setAttribute, setText } from "./dom";
import { menu, tickBox } from "./menu";

export interface Toolbar {
  element: HTMLElement;
  /** Closes what is open. */
  close(): void;
}

export interface ToolbarOptions {
  lens: Lens;
  /** What else stands in the menu, below the choices of scale; `fill` is called when it opens. */
  more: HTMLElement[];
  fill(): void;
  signal: AbortSignal;
}

/** The slider's ends are no smoothing and that over about a thousand points, its way there even in powers of ten. */
const DECADES = 3;
const STEPS = 60;

/** From the slider's position, 0 to 1, to the weight of the average; positions are told by how many points it goes over. */
export function weightAt(position: number): number {
  return 1 - 10 ** (-DECADES * Math.min(1, Math.max(0, position)));
}

export function positionOf(weight: number): number {
  return Math.min(1, -Math.log10(1 - weight) / DECADES);
}

let toolbars = 0;

export function toolbar({ lens, more, fill, signal }: ToolbarOptions): Toolbar {
  toolbars += 1;
  const set = (change: Partial<LensState>): void => lens.set(change);

  const slider = h("input", { type: "range", min: 0, max: STEPS, step: 1 });
  const amount = h("output", { class: "tl-dim" });
  const smoothing = h("label", { class: "tl-smoothing" }, __("smoothing"), slider, amount);
  slider.addEventListener("input", () => set({ smoothing: weightAt(slider.valueAsNumber / STEPS) }));

  const axis = segments<Axis>(
    __("Horizontal axis"),
    [
      ["step", __("step")],
      ["epoch", __("epoch")],
      ["elapsed", __("time")],
      ["clock", __("clock")],
    ],
    (value) => set({ axis: value, zoom: null }),
  );
  const scale = segments<"linear" | "log">(
    __("Vertical scale"),
    [
      ["linear", __("linear")],
      ["log", __("log")],
    ],
    (value) => set({ logY: value === "log" }),
  );

  const log_x = tickBox(__("Logarithmic horizontal axis"), (logX) => set({ logX }));
  const clip = tickBox(__("Outliers do not stretch the scale"), (ticked) => set({ clip: ticked }));
  const opened = menu(__("Charts and axes"), signal, log_x.element, clip.element, ...more);
  const button = h("button", { type: "button", class: "tl-button tl-more", "aria-label": __("Charts and axes"), title: __("Charts and axes") }, "⋯");
  opened.attach(button, fill);

  const element = h("div", { class: "tl-toolbar", role: "group", "aria-label": __("How the curves are shown") });
  element.append(smoothing, axis.element, scale.element, button, opened.element);

  const show = (): void => {
    const { state } = lens;
    const position = Math.round(positionOf(state.smoothing) * STEPS);
    if (slider.valueAsNumber !== position) slider.valueAsNumber = position;
    const said = state.smoothing === 0 ? __("off") : state.smoothing.toFixed(state.smoothing < 0.99 ? 2 : 3);
    setText(amount, said);
    setAttribute(slider, "aria-valuetext", said);
    axis.show(state.axis);
    scale.show(state.logY ? "log" : "linear");
    log_x.box.checked = state.logX;
    clip.box.checked = state.clip;
  };
  signal.addEventListener("abort", lens.subscribe(show), { once: true });
  show();
  return { element, close: opened.close };
}

/** One of a few, side by side: radio buttons, so that the arrow keys move among them and Tab goes past. */
function segments<T extends string>(label: string, choices: [T, string][], choose: (value: T) => void): { element: HTMLElement; show(value: T): void } {
  const name = `tl-${label}-${toolbars}`;
  const boxes = choices.map(([value]) => h("input", { type: "radio", name, value }));
  const element = h("div", { class: "tl-segments", role: "radiogroup", "aria-label": label });
  boxes.forEach((box, k) => {
    const [value, text] = choices[k]!;
    box.addEventListener("change", () => choose(value));
    element.append(h("label", {}, box, h("span", { "data-text": text }, text)));
  });
  return {
    element,
    show: (value) => boxes.forEach((box) => (box.checked = box.value === value)),
  };
}
