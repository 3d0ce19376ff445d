// The cancel button, which asks first, in place: no dialog that covers the curves one is about to decide on.

import type { JobStore } from "../data/store";
import { isCancellable, isEnded, type Job } from "../wire/protocol";
import { ServerError } from "../wire/server";
import { h, setShown, setText } from "./dom";

export interface CancelControl {
  element: HTMLElement;
  update(): void;
}

/** `send` asks the server; at most one request is under way, and none follows one that was accepted. */
export function cancelControl(store: JobStore, send: () => Promise<Job>): CancelControl {
  const ask = h("button", { type: "button", class: "tl-button tl-quiet" }, "Cancel…");
  const question = h("span", { class: "tl-question" }, "Stop this training?");
  const yes = h("button", { type: "button", class: "tl-button tl-danger" }, "Stop it");
  const no = h("button", { type: "button", class: "tl-button" }, "Keep going");
  const prompt = h("span", { class: "tl-prompt", role: "group", "aria-label": "Stop this training?" }, question, yes, no);
  const failure = h("span", { class: "tl-refused", role: "alert" });
  const element = h("span", { class: "tl-cancel" }, failure, ask, prompt);
  let asking = false;
  let sent = false;

  const update = (): void => {
    const possible = isCancellable(store.job) && !sent;
    const focused = document.activeElement;
    if (!possible) asking = false;
    setShown(ask, possible && !asking);
    setShown(prompt, asking);
    setShown(failure, failure.textContent !== "");
    // The focused button may just have vanished; leave the keyboard in the job, not at the top of the page.
    if (focused && element.contains(focused) && focused.closest("[hidden]")) element.closest<HTMLElement>("section")?.focus();
  };

  ask.addEventListener("click", () => {
    setText(failure, "");
    asking = true;
    update();
    // The safe answer has the focus: Enter pressed twice by habit stops nothing.
    no.focus();
  });
  const dismiss = (): void => {
    asking = false;
    setShown(ask, true);
    ask.focus();
    update();
  };
  no.addEventListener("click", dismiss);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    dismiss();
  });
  yes.addEventListener("click", () => {
    if (sent) return;
    sent = true;
    update();
    send().then(
      (job) => {
        // The socket may have been faster and know the end already.
        if (!isEnded(store.job)) store.merge({ status: job.status });
        store.changed();
      },
      (error: unknown) => {
        sent = false;
        setText(failure, refusal(error));
        update();
      },
    );
  });
  update();
  return { element, update };
}

function refusal(error: unknown): string {
  if (!(error instanceof ServerError)) return "The server could not be reached; nothing was stopped.";
  if (error.status === 403) return "You may watch this job, but not stop it.";
  return error.message;
}
