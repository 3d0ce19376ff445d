// The form's request as the Python call that does the same, to be copied into a cell.

import type { Value } from "./entries";

/** `trainlive.finetune("model", "data.jsonl", num_train_epochs=1)`, the options one a line. */
export function pythonCall(values: Readonly<Record<string, Value>>): string {
  const { model_name = "", dataset_path = "", ...options } = values;
  const lines = Object.entries(options).map(([name, value]) => `    ${name}=${literal(value)},`);
  const inputs = `${literal(model_name)}, ${literal(dataset_path)}`;
  const call = lines.length === 0 ? `trainlive.finetune(${inputs})` : `trainlive.finetune(\n    ${inputs},\n${lines.join("\n")}\n)`;
  return `import jupyter_trainlive as trainlive\n\njob = ${call}\njob`;
}

export function literal(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value as object).map(([key, item]) => `${quoted(key)}: ${literal(item)}`).join(", ")}}`;
  }
  return String(value);
}

// JSON's strings are Python's. What can't be seen, or turns the text around it, is written out, so that the code that is
// copied is the code that was read.
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, k) => `\\u${character.charCodeAt(k).toString(16).padStart(4, "0")}`).join(""),
  );
}
