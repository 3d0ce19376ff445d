// What is typed into the form, and the values that it stands for. An empty field is left out of the request.

import { __ } from "../i18n";
import type { Job } from "../wire/protocol";
import type { Bounds, Field } from "./schema";

/** The text of each field by its name; what is not there is empty. */
export type Entries = Readonly<Record<string, string>>;

export type Value = string | number | boolean | string[] | Record<string, unknown>;

/** Limits beyond this are those of the wire, and no help to anybody. */
const WORTH_SAYING = 1_000_000;

export type Reading = { value?: Value; problem?: undefined } | { value?: undefined; problem: string };

/** The value of a field, none if it is empty, or what is wrong with it. */
export function read(field: Field, entry: string | undefined): Reading {
  const text = (entry ?? "").trim();
  if (text === "") return field.required ? { problem: __("This is needed.") } : {};
  switch (field.kind) {
    case "flag":
      return { value: text === "true" };
    case "choice": {
      const choice = field.choices.find(({ value }) => String(value) === text);
      return choice ? { value: choice.value } : { problem: __("Must be one of: %1.", field.choices.map(({ label }) => label).join(", ")) };
    }
    case "number": {
      const value = Number(text.replace(/^−/, "-"));
      if (Number.isFinite(value) && field.bounds.some((bounds) => keepsTo(value, bounds))) return { value };
      return { problem: __("Must be %1.", field.bounds.map(boundsText).join(__(", or "))) };
    }
    case "names": {
      if (text === field.word) return { value: text };
      const names = text.split(",").flatMap((name) => name.trim() || []);
      return names.length > 0 ? { value: names } : { problem: __("Must be names with commas between them.") };
    }
    case "object":
      return readObject(field, text);
    default:
      return { value: text };
  }
}

function readObject(field: Field, text: string): Reading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: __('Must be an object, such as {"name": "value"}.') };
  }
  const strange = Object.keys(value).find((key) => field.keys.length > 0 && !field.keys.includes(key));
  if (strange !== undefined) return { problem: __("%1 is not one of: %2.", strange, field.keys.join(", ")) };
  return { value: value as Record<string, unknown> };
}

function keepsTo(value: number, bounds: Bounds): boolean {
  const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = bounds;
  if (isWhole(bounds) && !Number.isInteger(value)) return false;
  return value >= minimum && value <= maximum && value > exclusiveMinimum && value < exclusiveMaximum && bounds.not?.const !== value;
}

const isWhole = ({ type }: Bounds): boolean => [type].flat().includes("integer");

function boundsText(bounds: Bounds): string {
  const words = [isWhole(bounds) ? __("a whole number") : __("a number")];
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, not } = bounds;
  if (minimum !== undefined) words.push(__("at least %1", minimum));
  if (exclusiveMinimum !== undefined) words.push(__("above %1", exclusiveMinimum));
  if (exclusiveMaximum !== undefined) words.push(__("below %1", exclusiveMaximum));
  if (maximum !== undefined && maximum < WORTH_SAYING) words.push(__("at most %1", maximum));
  if (not?.const !== undefined) words.push(__("not %1", String(not.const)));
  return words.join(", ");
}

/** How a value stands in its field; empty where it is what an empty field stands for. */
export function entryOf(field: Field, value: unknown): string {
  if (value == null || JSON.stringify(value) === JSON.stringify(field.fallback)) return "";
  if (field.kind === "names" && Array.isArray(value)) return value.join(", ");
  if (typeof value === "number") return numberText(value);
  if (typeof value !== "object") return String(value);
  return Object.keys(value).length > 0 ? JSON.stringify(value) : "";
}

/** A number as people type it: 5e-5 rather than 0.00005. */
export function numberText(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
}

/** Those fields that have a use, as the others stand. */
export function useful(fields: readonly Field[], entries: Entries): Field[] {
  const standing = (name: string): unknown => {
    const field = fields.find((candidate) => candidate.name === name);
    return field && (read(field, entries[name]).value ?? field.fallback);
  };
  return fields.filter(({ needs }) => {
    if (needs === null) return true;
    const value = standing(needs);
    // The recipe's own rule: a switch that is on, a number that is given, a task that is the usual one.
    return value === true || typeof value === "number" || (typeof value === "string" && value === fields.find(({ name }) => name === needs)?.fallback);
  });
}

/** The request's values in the form's order, and the problems that keep it from being one. */
export function requestOf(fields: readonly Field[], entries: Entries): { values: Record<string, Value>; problems: Map<string, string> } {
  const values: Record<string, Value> = {};
  const problems = new Map<string, string>();
  for (const field of useful(fields, entries)) {
    const { value, problem } = read(field, entries[field.name]);
    if (problem !== undefined) problems.set(field.name, problem);
    else if (value !== undefined) values[field.name] = value;
  }
  return { values, problems };
}

/** Entries that launch a job again as it was. What its environment variables held is told to nobody, and not among them. */
export function entriesOfJob(fields: readonly Field[], { spec }: Pick<Job, "spec">): Entries {
  const { parameters, env: _secret, ...common } = spec ?? {};
  return entriesOf(fields, { ...common, ...(parameters as Record<string, unknown> | undefined) });
}

export function entriesOf(fields: readonly Field[], values: Readonly<Record<string, unknown>>): Entries {
  const entries = fields.map((field) => [field.name, entryOf(field, values[field.name])] as const);
  return Object.fromEntries(entries.filter(([, entry]) => entry !== ""));
}
