// What can be asked of a job, as buttons: those that the server says its state allows. Stopping asks first, in place:
// no dialog that covers the curves one is about to decide on.

import { __ } from "../i18n";
import { count } from "../data/format";
import type { JobStore } from "../data/store";
import { isEnded, isReleased, type Action, type Job } from "../wire/protocol";
import { ServerError } from "../wire/server";
import { h, setAttribute, setShown, setText } from "./dom";
import { question } from "./question";

/** Asks the server for an action; the job as it is then. */
export type SendAction = (action: Exclude<Action, "delete" | "end_kernel">) => Promise<Job>;

export interface Controls {
  buttons: HTMLElement;
  /** Why the last request was refused. */
  refusal: HTMLElement;
  update(): void;
}

/** At most one request is under way; until its answer no button does anything. */
export function controls(store: JobStore, send: SendAction): Controls {
  const button = (label: string, style = "", title: string | null = null): HTMLButtonElement =>
    h("button", { type: "button", class: `tl-button ${style}`.trim(), title }, label);
  const hold = button(__("Hold"), "", __("Wait at the next step, and keep the GPU"));
  const resume = button(__("Resume"));
  const release = button(__("Free GPU"), "", __("Write a checkpoint, leave, and free the GPU"));
  const ask = button(__("Cancel…"), "tl-quiet");
  const yes = button(__("Stop it"), "tl-danger");
  const no = button(__("Keep going"));
  const refusal = h("p", { class: "tl-refused", role: "alert" });
  const begin = (): boolean => {
    if (!under_way) setText(refusal, "");
    return !under_way;
  };
  const asked = question({ ask, yes, no, text: __("Stop this training?"), begin, update: () => update() });
  const buttons = h("span", { class: "tl-controls" }, hold, resume, release, ask, asked.prompt);
  let under_way = false;
  let refused_in = "";

  const update = (): void => {
    const { job } = store;
    const actions = job.actions ?? [];
    // Asking again would be no error, and change nothing.
    const cancellable = actions.includes("cancel") && job.status !== "cancelling";
    const focused = document.activeElement;
    asked.asking &&= cancellable;
    setShown(hold, actions.includes("pause") && !asked.asking);
    setShown(resume, actions.includes("resume") && !asked.asking);
    setText(resume, resumeLabel(job));
    setShown(release, actions.includes("release") && !asked.asking);
    setShown(ask, cancellable && !asked.asking);
    setShown(asked.prompt, asked.asking);
    // Not `disabled`, which would drop the keyboard's focus to the top of the page.
    for (const each of [hold, resume, release, ask]) setAttribute(each, "aria-disabled", under_way ? "true" : null);
    // What was refused in another state is no news any more.
    if (store.control() !== refused_in) setText(refusal, "");
    setShown(refusal, refusal.textContent !== "");
    // The focused button may just have vanished; leave the keyboard in the job, not at the top of the page.
    if (focused && buttons.contains(focused) && focused.closest("[hidden]")) buttons.closest<HTMLElement>("section")?.focus();
  };

  const perform: (action: Parameters<SendAction>[0]) => void = (action) => {
    if (under_way) return;
    under_way = true;
    asked.asking = false;
    setText(refusal, "");
    const take = store.awaitAnswer();
    update();
    send(action)
      .then(take, (error: unknown) => {
        refused_in = store.control();
        setText(refusal, reasonText(error));
      })
      .finally(() => {
        under_way = false;
        update();
      });
  };
  hold.addEventListener("click", () => perform("pause"));
  release.addEventListener("click", () => perform("release"));
  resume.addEventListener("click", () => perform("resume"));
  yes.addEventListener("click", () => perform("cancel"));
  update();
  return { buttons, refusal, update };
}

/** Where a new process would take up the work; one that is only held goes on as if nothing had been. */
function resumeLabel(job: Job): string {
  const anew = isEnded(job) || isReleased(job);
  return anew && job.checkpoint_step != null ? __("Resume from step %1", count(job.checkpoint_step)) : __("Resume");
}

export function reasonText(error: unknown): string {
  if (!(error instanceof ServerError)) return __("The server could not be reached. Try again.");
  if (error.status === 403) return __("You may watch this job, but not change it.");
  return error.message;
}
