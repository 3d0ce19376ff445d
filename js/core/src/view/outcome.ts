// How a job ended badly: the reason first, traceback and output when asked for. A good end needs no words.

import type { JobStore } from "../data/store";
import { count } from "../data/format";
import type { Job } from "../wire/protocol";
import { h, setAttribute, setShown, setText } from "./dom";
import type { Part } from "./header";

/** `detail` asks the server for all there is to say of the job: the output's last lines come with that alone. */
export function outcome(store: JobStore, detail: () => Promise<Job>): Part {
  const what = h("p", { class: "tl-what" });
  const hint = h("p");
  const text = h("pre", { tabindex: 0, "aria-label": "Traceback" });
  const details = h("details", {}, h("summary", {}, "Traceback"), text);
  const output = h("pre", { tabindex: 0, "aria-label": "Last lines of output" });
  const lines = h("details", {}, h("summary", {}, "Last lines of output"), output);
  const element = h("div", { class: "tl-why" }, what, hint, details, lines);

  /** Which end the output was asked for: a job may be resumed and fail again. */
  let asked = "";
  const read = (): void => {
    const { job } = store;
    const end = `${job.attempt} ${job.ended_at}`;
    if (!lines.open || asked === end) return;
    asked = end;
    if (job.exit?.output) {
      setText(output, job.exit.output);
      return;
    }
    setText(output, "…");
    const answer = (said: string): void => {
      if (asked === end) setText(output, said);
    };
    detail().then(
      ({ output_tail }) => answer(output_tail || "It wrote nothing."),
      () => {
        answer("The output could not be read. Close this and open it again.");
        asked = "";
      },
    );
  };
  lines.addEventListener("toggle", read);

  return {
    element,
    update() {
      const { job } = store;
      const reason = reasonText(job);
      setShown(element, reason !== null);
      if (reason === null) return;
      setAttribute(element, "data-status", job.status ?? null);
      setText(what, reason);
      setText(hint, job.hint ?? "");
      setShown(hint, Boolean(job.hint));
      setText(text, job.traceback ?? "");
      setShown(details, Boolean(job.traceback));
      setShown(lines, job.status !== "cancelled");
      read();
    },
  };
}

function reasonText(job: Job): string | null {
  const at = job.current_step ? ` at step ${count(job.current_step)}` : "";
  switch (job.status) {
    case "failed":
      return job.error || `The training failed${at}, without a word why.`;
    case "interrupted":
      return job.error || `The training vanished${at} without a word: its process or its machine is gone.`;
    case "cancelled":
      // Stopped on request: the status says all of it, unless stopping took more than asking.
      return job.error || null;
    default:
      return null;
  }
}
