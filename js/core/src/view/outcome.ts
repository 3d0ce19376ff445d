// How a job ended badly: the reason first, traceback and output when asked for. A good end needs no words.

import { __ } from "../i18n";
import type { JobStore } from "../data/store";
import { count } from "../data/format";
import { Terminal } from "../data/terminal";
import { shortened } from "../data/visible";
import type { Job } from "../wire/protocol";
import { h, setAttribute, setShown, setText } from "./dom";
import type { Part } from "./header";
import { lineNodes } from "./logtext";

/** A reason that is longer stands in full with the traceback. */
const LONGEST = 800;

/** `detail` asks the server for all there is to say of the job: the output's last lines come with that alone. */
export function outcome(store: JobStore, detail: () => Promise<Job>): Part {
  const what = h("p", { class: "tl-what" });
  const hint = h("p");
  const text = h("pre", { tabindex: 0, "aria-label": __("Traceback") });
  const details = h("details", {}, h("summary", {}, __("Traceback")), text);
  const output = h("pre", { tabindex: 0, "aria-label": __("Last lines of output") });
  const lines = h("details", {}, h("summary", {}, __("Last lines of output")), output);
  const element = h("div", { class: "tl-why" }, what, hint, details, lines);

  /** Which end the output was asked for: a job may be resumed and fail again. */
  let asked = "";
  const read = (): void => {
    const { job } = store;
    const end = `${job.attempt} ${job.ended_at}`;
    if (!lines.open || asked === end) return;
    asked = end;
    if (job.exit?.output) {
      showOutput(output, job.exit.output);
      return;
    }
    setText(output, "…");
    const answer = (said: string): void => {
      if (asked === end) showOutput(output, said);
    };
    detail().then(
      ({ output_tail }) => answer(output_tail || __("It wrote nothing.")),
      () => {
        answer(__("The output could not be read. Close this and open it again."));
        asked = "";
      },
    );
  };
  lines.addEventListener("toggle", read);
  let traced = "";

  return {
    element,
    update() {
      const { job } = store;
      const reason = reasonText(job);
      setShown(element, reason !== null);
      if (reason === null) return;
      setAttribute(element, "data-status", job.status ?? null);
      setText(what, shortened(reason, LONGEST));
      setText(hint, shortened(job.hint ?? "", LONGEST));
      setShown(hint, Boolean(job.hint));
      const whole = reason.length > LONGEST ? [reason] : [];
      const traceback = [...whole, ...(job.traceback ? [job.traceback] : [])].join("\n\n");
      if (traceback !== traced) showOutput(text, (traced = traceback));
      setShown(details, traceback !== "");
      setShown(lines, job.status !== "cancelled");
      read();
    },
  };
}

function reasonText(job: Job): string | null {
  const at = job.current_step ? count(job.current_step) : null;
  switch (job.status) {
    case "failed":
      return job.error || (at ? __("The training failed at step %1, without a word why.", at) : __("The training failed, without a word why."));
    case "interrupted":
      return job.error || (at ? __("The training vanished at step %1 without a word: its process or its machine is gone.", at) : __("The training vanished without a word: its process or its machine is gone."));
    case "cancelled":
      // Stopped on request: the status says all of it, unless stopping took more than asking.
      return job.error || null;
    default:
      return null;
  }
}

/** Text as a terminal shows it. */
function showOutput(element: HTMLElement, text: string): void {
  const terminal = new Terminal();
  terminal.write(text);
  element.replaceChildren(...terminal.lines.flatMap((line, k) => (k > 0 ? ["\n", ...lineNodes(line)] : lineNodes(line))));
}
