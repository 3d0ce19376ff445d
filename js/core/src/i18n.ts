// The interface's words in the reader's language: JupyterLab's translation where the page has one, else English as written.

/** As JupyterLab's TranslationBundle has it: `%1`, `%2` … stand for the arguments. */
export interface Translator {
  __(text: string, ...args: (string | number)[]): string;
  _n(one: string, many: string, n: number, ...args: (string | number)[]): string;
}

const english: Translator = {
  __: (text, ...args) => fill(text, args),
  _n: (one, many, n, ...args) => fill(n === 1 ? one : many, [n, ...args]),
};

// The page's, not the module's: the JupyterLab extension sets it, and the widget beside it is a module of its own.
const KEY = Symbol.for("jupyter_trainlive.translator");
const page = globalThis as { [KEY]?: Translator };

export function setTranslator(translator: Translator): void {
  page[KEY] = translator;
}

/** `__("waits for %1", reason)`. The text must be a literal, so that it can be collected for translators. */
export function __(text: string, ...args: (string | number)[]): string {
  return (page[KEY] ?? english).__(text, ...args);
}

/** `_n("%1 alert", "%1 alerts", n)`: the first argument to fill in is the number. */
export function _n(one: string, many: string, n: number, ...args: (string | number)[]): string {
  return (page[KEY] ?? english)._n(one, many, n, ...args);
}

// In one pass: what is filled in may hold a % itself.
function fill(text: string, args: readonly (string | number)[]): string {
  return text.replace(/%(\d+)/g, (mark, k: string) => String(args[Number(k) - 1] ?? mark));
}
