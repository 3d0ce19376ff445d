// A question asked in place before something is done that can't be undone: no dialog that covers what it is about.

import { h, setShown } from "./dom";

export interface Question {
  /** What is shown while it is asked: the question and its two answers. */
  prompt: HTMLElement;
  /** Whether it is being asked. */
  asking: boolean;
}

export interface QuestionOptions {
  /** The button that asks. */
  ask: HTMLElement;
  yes: HTMLElement;
  no: HTMLElement;
  text: string;
  /** Whether it may be asked now; called when it is about to be. */
  begin(): boolean;
  /** Shows what has changed. */
  update(): void;
}

/** Asks when `ask` is pressed, until `no` or Escape, after which `ask` has the focus again; `yes` is the caller's. */
export function question({ ask, yes, no, text, begin, update }: QuestionOptions): Question {
  const words = h("span", { class: "tl-question" }, text);
  const prompt = h("span", { class: "tl-prompt", role: "group", "aria-label": text }, words, yes, no);
  const asked: Question = { prompt, asking: false };
  const dismiss = (): void => {
    asked.asking = false;
    // Before the answer that has the focus goes, so that the focus is nowhere else in between.
    setShown(ask, true);
    ask.focus();
    update();
  };
  ask.addEventListener("click", () => {
    if (!begin()) return;
    asked.asking = true;
    update();
    // The safe answer has the focus: Enter pressed twice by habit stops nothing.
    no.focus();
  });
  no.addEventListener("click", dismiss);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    dismiss();
  });
  return asked;
}
