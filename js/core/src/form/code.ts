// The form's request as the Python call that does the same, to be copied into a cell.

import { numberText, type Value } from "./entries";

/** `trainlive.finetune("model", "data.jsonl", num_train_epochs=1)`, one argument a line where there are more. */
export function pythonCall(values: Readonly<Record<string, Value>>): string {
  const { model_name = "", dataset_path = "", ...options } = values;
  const inputs = [literal(model_name), literal(dataset_path)];
  const further = Object.entries(options).map(([name, value]) => `${name}=${literal(value)}`);
  const lines = [...inputs, ...further].map((argument) => `    ${argument},\n`).join("");
  const call = further.length === 0 ? `trainlive.finetune(${inputs.join(", ")})` : `trainlive.finetune(\n${lines})`;
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
  return typeof value === "number" ? numberText(value) : String(value);
}

// JSON's strings are Python's. What can't be seen, or turns the text around it, is written out, so that the code that is
// copied is the code that was read.
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}
