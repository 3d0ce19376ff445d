// "New fine-tune": the recipe's parameters as a form, a dry run of what they would do, and the start.

import { __, _n } from "../i18n";
import { reasonText } from "../view/controls";
import { h, setAttribute, setShown, setText } from "../view/dom";
import { jobTitle } from "../view/status";
import type { Job } from "../wire/protocol";
import { getJob, ServerError, type Server } from "../wire/server";
import { pythonCall } from "./code";
import { control, type Control } from "./control";
import { entriesOf, entriesOfJob, requestOf, useful, type Entries, type Value } from "./entries";
import { reportView } from "./report";
import { askDryRun, getSchema, startFineTune } from "./requests";
import { fieldsOf, sectionsOf, type Field, type Kernel, type Schema, type Section } from "./schema";

/** What stands in the form at first: what was typed before, a job to launch again, and values that differ from its own. */
export interface Beginning {
  entries?: Entries;
  job_id?: string;
  values?: Readonly<Record<string, unknown>>;
}

export interface FormOptions {
  server: Server;
  signal: AbortSignal;
  begin: Beginning;
  kernels: Promise<readonly Kernel[]>;
  /** The files and folders in a folder of the server, with the folder before each name. */
  list?: (folder: string) => Promise<string[]>;
  copy(text: string): void;
  /** A training was started from here. */
  started(job: Job): void;
  /** What is typed has changed. */
  changed(entries: Entries): void;
}

let forms = 0;

/** Puts the form into `host`, until `signal` aborts. */
export function mountForm(host: HTMLElement, options: FormOptions): void {
  const { server, signal, begin } = options;
  const note = h("p", { class: "tl-trouble", role: "status" }, __("Reading the recipe's parameters…"));
  const retry = h("button", { type: "button", class: "tl-button" }, __("Try again"));
  const root = h("section", { class: "tl tl-form", "aria-label": __("New fine-tune"), tabindex: -1 }, note, retry);
  host.append(root);
  signal.addEventListener("abort", () => root.remove(), { once: true });
  const load = async (): Promise<void> => {
    setShown(retry, false);
    try {
      const [schema, kernels, job] = await Promise.all([getSchema(server), options.kernels, begin.job_id ? getJob(server, begin.job_id) : null]);
      const fields = fieldsOf(schema, kernels);
      const entries = { ...(job ? entriesOfJob(fields, job) : {}), ...entriesOf(fields, begin.values ?? {}), ...begin.entries };
      if (signal.aborted) return;
      root.replaceChildren(formView(schema, fields, entries, job, options));
    } catch (error) {
      setText(note, reasonText(error));
      setShown(retry, true);
    }
  };
  retry.addEventListener("click", () => void load());
  void load();
}

function formView(schema: Schema, fields: readonly Field[], entries: Entries, again: Job | null, options: FormOptions): HTMLElement {
  const { server, signal } = options;
  forms += 1;
  const id = `tl-form-${forms}`;
  const controls = new Map<string, Control>();
  for (const field of fields) {
    const made = control(field, { id: `${id}-${field.name}`, changed: () => changed(field.name), list: options.list });
    made.entry = entries[field.name] ?? "";
    controls.set(field.name, made);
  }
  const element = (field: Field): HTMLElement => controls.get(field.name)!.element;
  const { first, folded } = sectionsOf(schema, fields);
  const folds = folded.map((section) => fold(section, element));

  const start = h("button", { type: "button", class: "tl-button tl-primary" }, __("Start training"));
  const ask = h("button", { type: "button", class: "tl-button" });
  const said = h("p", { class: "tl-said", role: "status" });
  const report = h("div", { class: "tl-report", role: "region", "aria-label": __("Dry run"), tabindex: -1 });
  const code = h("pre", { tabindex: 0, "aria-label": __("Python code") });
  const copy = h("button", { type: "button", class: "tl-button" }, __("Copy"));
  const python = h("details", { class: "tl-python" }, h("summary", {}, __("The same in Python")), copy, code);
  const title = again ? __("Launch %1 again", jobTitle(again)) : __("New fine-tune");
  const view = h(
    "form",
    { novalidate: true, autocomplete: "off" },
    h("header", {}, h("h1", {}, title), ...notes(again)),
    h("div", { class: "tl-fields" }, h("div", { class: "tl-first" }, ...first.map(element)), ...folds.map(({ details }) => details)),
    h("aside", { "aria-label": __("Dry run and start") }, h("div", { class: "tl-actions" }, ask, start), said, report, python),
  );
  // Enter in a field starts nothing.
  view.addEventListener("submit", (event) => event.preventDefault());

  const touched = new Set(Object.keys(entries));
  let asking: AbortController | null = null;
  let starting = false;
  const entered = (): Record<string, string> =>
    Object.fromEntries([...controls].map(([name, { entry }]) => [name, entry] as const).filter(([, entry]) => entry !== ""));

  /** What the fields say now, complained about where it was touched, or everywhere. */
  const look = (everywhere: boolean): { values: Record<string, Value>; problems: Map<string, string> } => {
    const now = entered();
    const request = requestOf(fields, now);
    const shown = new Set(useful(fields, now).map(({ name }) => name));
    for (const [name, each] of controls) {
      setShown(each.element, shown.has(name));
      const heard = everywhere || touched.has(name);
      each.complain((heard && request.problems.get(name)) || null);
    }
    for (const each of folds) each.update(controls, now);
    setText(code, pythonCall(request.values));
    setText(ask, asking ? __("Stop the dry run") : __("Dry run"));
    setAttribute(start, "aria-disabled", starting ? "true" : null);
    return request;
  };

  const changed = (name: string): void => {
    // An empty field that is needed is no mistake before somebody has left it.
    touched.add(name);
    look(false);
    setAttribute(report, "data-old", "");
    if (!starting && !asking) setText(said, report.childElementCount > 0 ? __("Changed since this dry run.") : "");
    options.changed(entered());
  };

  /** The values to send; null, with the focus at the first mistake, where they can't be. */
  const ready = (): Record<string, Value> | null => {
    const { values, problems } = look(true);
    if (problems.size === 0) return values;
    setText(said, _n("%1 field needs your attention.", "%1 fields need your attention.", problems.size));
    reveal([...controls.keys()].find((name) => problems.has(name))!);
    return null;
  };

  const reveal = (name: string): void => {
    const wrong = controls.get(name)!;
    const details = wrong.element.closest("details");
    if (details) details.open = true;
    wrong.focus();
  };

  /** A refusal stands at its field where that can be seen, else beside the buttons. */
  const refused = (error: unknown): void => {
    const field = error instanceof ServerError ? error.field : null;
    const at = field === null ? undefined : controls.get(field);
    if (!at || at.element.hidden) {
      setText(said, refusalText(error));
      return;
    }
    const message = refusalText(error);
    at.complain(message.startsWith(`${field}: `) ? message.slice(field!.length + 2) : message);
    setText(said, __("Not accepted: see %1.", at.field.title));
    reveal(at.field.name);
  };

  ask.addEventListener("click", () => {
    if (asking) {
      asking.abort();
      return;
    }
    const values = starting ? null : ready();
    if (!values) return;
    const now = (asking = new AbortController());
    const stop = (): void => now.abort();
    signal.addEventListener("abort", stop, { once: true });
    setText(said, __("Reads the data and measures the model; some ten seconds."));
    report.replaceChildren();
    look(false);
    askDryRun(server, values, now.signal)
      .then(
        (answer) => {
          report.replaceChildren(reportView(answer));
          setAttribute(report, "data-old", null);
          setText(said, answer.fits === false ? __("The dry run is done: it does not fit.") : __("The dry run is done; nothing was started."));
        },
        (error: unknown) => (now.signal.aborted ? setText(said, __("Stopped.")) : refused(error)),
      )
      .finally(() => {
        signal.removeEventListener("abort", stop);
        asking = null;
        setText(ask, __("Dry run"));
      });
  });

  start.addEventListener("click", () => {
    const values = starting ? null : ready();
    if (!values) return;
    starting = true;
    asking?.abort();
    setText(said, __("Starting…"));
    look(false);
    startFineTune(server, values)
      .then((job) => {
        setText(said, __("Started: %1.", jobTitle(job)));
        options.started(job);
      }, refused)
      .finally(() => {
        starting = false;
        setAttribute(start, "aria-disabled", null);
      });
  });

  copy.addEventListener("click", () => {
    options.copy(code.textContent ?? "");
    setText(said, __("Copied."));
  });
  look(false);
  return view;
}

function refusalText(error: unknown): string {
  if (error instanceof ServerError && error.status === 403) return __("You may watch trainings on this server, but not start any.");
  return reasonText(error);
}

function notes(again: Job | null): HTMLElement[] {
  const env = again?.spec?.env;
  if (!Array.isArray(env) || env.length === 0) return [];
  const names = env.map(String).join(", ");
  return [h("p", { class: "tl-dim" }, __("It had environment variables whose values are kept to themselves; give them again if it needs them: %1.", names))];
}

interface Fold {
  details: HTMLDetailsElement;
  update(controls: ReadonlyMap<string, Control>, entries: Entries): void;
}

/** A group of fields that most people leave alone; its line says how many are not. */
function fold({ title, fields }: Section, element: (field: Field) => HTMLElement): Fold {
  const set = h("span", { class: "tl-dim" });
  const details = h("details", {}, h("summary", {}, title, " ", set), h("div", { class: "tl-group" }, ...fields.map(element)));
  return {
    details,
    update(controls, entries) {
      const shown = fields.filter(({ name }) => !controls.get(name)!.element.hidden);
      const given = shown.filter(({ name }) => entries[name]).length;
      setShown(details, shown.length > 0);
      setText(set, given > 0 ? _n("%1 set", "%1 set", given) : "");
    },
  };
}
