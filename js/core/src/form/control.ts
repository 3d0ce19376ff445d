// One field of the form: its label, where it is typed, what it is for, and what is wrong with it.

import { __ } from "../i18n";
import { h, setAttribute, setShown, setText } from "../view/dom";
import { numberText } from "./entries";
import type { Field } from "./schema";

export interface Control {
  field: Field;
  element: HTMLElement;
  /** What is typed, empty where that is what the field is anyway. */
  entry: string;
  /** Says what is wrong, or nothing. */
  complain(problem: string | null): void;
  focus(): void;
}

export interface ControlOptions {
  /** Unique in the page. */
  id: string;
  changed(): void;
  /** The files and folders in a folder, to choose from; left out where nobody knows them. */
  list?: (folder: string) => Promise<string[]>;
}

export function control(field: Field, { id, changed, list }: ControlOptions): Control {
  const help = h("small", { id: `${id}-help`, class: "tl-dim" }, field.help);
  const problem = h("small", { id: `${id}-problem`, class: "tl-problem", "aria-live": "polite" });
  const common = { id, "aria-describedby": `${help.id} ${problem.id}`, "aria-required": field.required ? "true" : null };
  const { input, get, set } = inputOf(field, common);
  const star = field.required ? [h("span", { class: "tl-needed", "aria-hidden": "true" }, " *")] : [];
  const label = h("label", { for: id, title: field.name }, field.title, ...star);
  const flag = field.kind === "flag";
  const element = h("div", { class: flag ? "tl-field tl-flag" : "tl-field" }, ...(flag ? [input, label] : [label, input]), help, problem);
  setShown(problem, false);
  input.addEventListener("input", changed);
  if (list && field.path && input instanceof HTMLInputElement) element.append(suggestions(input, id, list));
  return {
    field,
    element,
    get entry() {
      return get();
    },
    set entry(entry) {
      set(entry);
    },
    complain(text) {
      setText(problem, text ?? "");
      setShown(problem, text !== null);
      setAttribute(input, "aria-invalid", text === null ? null : "true");
    },
    focus() {
      input.scrollIntoView({ block: "nearest" });
      input.focus();
    },
  };
}

interface Input {
  input: HTMLInputElement | HTMLSelectElement;
  get(): string;
  set(entry: string): void;
}

function inputOf(field: Field, common: Record<string, string | null>): Input {
  if (field.kind === "choice") return selectOf(field, common);
  if (field.kind === "flag") {
    const input = h("input", { type: "checkbox", ...common });
    const usual = field.fallback === true;
    return {
      input,
      get: () => (input.checked === usual ? "" : String(input.checked)),
      set: (entry) => (input.checked = entry === "" ? usual : entry === "true"),
    };
  }
  const input = h("input", {
    type: "text",
    ...common,
    placeholder: placeholderOf(field.fallback),
    inputmode: field.kind === "number" ? "decimal" : null,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  return { input, get: () => input.value.trim(), set: (entry) => (input.value = entry) };
}

function placeholderOf(fallback: unknown): string | null {
  if (fallback == null) return null;
  return typeof fallback === "number" ? numberText(fallback) : String(fallback);
}

function selectOf(field: Field, common: Record<string, string | null>): Input {
  const usual = field.choices.find(({ value }) => value === field.fallback);
  const none = usual ? __("%1 (default)", usual.label) : __("by default");
  const others = field.choices.filter((choice) => choice !== usual);
  const select = h("select", common, h("option", { value: "" }, none), ...others.map(({ value, label }) => h("option", { value: String(value) }, label)));
  return {
    input: select,
    get: () => select.value,
    set(entry) {
      // A kernel, say, that is not there any more: shown as it was, so that it is seen to be wrong.
      if (![...select.options].some(({ value }) => value === entry)) select.append(h("option", { value: entry }, entry));
      select.value = entry;
    },
  };
}

/** Offers what lies in the folder that is being typed. */
function suggestions(input: HTMLInputElement, id: string, list: (folder: string) => Promise<string[]>): HTMLElement {
  const options = h("datalist", { id: `${id}-list` });
  let listed: string | null = null;
  const refresh = async (): Promise<void> => {
    const folder = input.value.slice(0, input.value.lastIndexOf("/") + 1);
    if (folder === listed) return;
    listed = folder;
    // A folder that can't be listed offers nothing; the server says later what is wrong with it.
    const paths = await list(folder).catch(() => []);
    if (listed === folder) options.replaceChildren(...paths.map((path) => h("option", { value: path })));
  };
  input.setAttribute("list", options.id);
  input.addEventListener("focus", () => void refresh());
  input.addEventListener("input", () => void refresh());
  return options;
}
