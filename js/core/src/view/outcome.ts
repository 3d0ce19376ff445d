// How a job ended badly: the reason first, the traceback when asked for. A good end needs no words.

import type { JobStore } from "../data/store";
import { count } from "../data/format";
import type { Job } from "../wire/protocol";
import { h, setAttribute, setShown, setText } from "./dom";
import type { Part } from "./header";

export function outcome(store: JobStore): Part {
  const what = h("p", { class: "tl-what" });
  const hint = h("p");
  const text = h("pre", { tabindex: 0, "aria-label": "Traceback" });
  const details = h("details", {}, h("summary", {}, "Traceback"), text);
  const element = h("div", { class: "tl-why" }, what, hint, details);
  return {
    element,
    update() {
      const { job } = store;
      const reason = reasonText(job);
      setShown(element, reason !== null);
      if (reason === null) return;
      setAttribute(element, "data-status", job.status ?? null);
      setText(what, reason);
      const more = hintText(job);
      setText(hint, more ?? "");
      setShown(hint, more !== null);
      setText(text, job.traceback ?? "");
      setShown(details, Boolean(job.traceback));
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

function hintText(job: Job): string | null {
  if (job.hint) return job.hint;
  const { exit } = job;
  if (job.status === "cancelled" || !exit) return null;
  if (exit.signal != null) return `Its process was ended by signal ${exit.signal}.`;
  return exit.code ? `Its process left with exit code ${exit.code}.` : null;
}
