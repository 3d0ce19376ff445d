// The fields of "New fine-tune", made of the schema that the server gives of the recipe's parameters.

import { __ } from "../i18n";

/** What the form reads of a property's JSON Schema; `x-…` are the recipe's own words for forms. */
export interface Property extends Bounds {
  title?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  anyOf?: Property[];
  propertyNames?: { enum?: string[] };
  "x-group"?: string;
  "x-needs"?: string;
}

export interface Bounds {
  type?: string | string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  not?: { const?: unknown };
}

export interface Schema {
  properties: Record<string, Property>;
  required?: string[];
  "x-groups"?: string[];
}

export interface Choice {
  value: string | boolean;
  label: string;
}

export type Kind = "text" | "number" | "flag" | "choice" | "names" | "object";

export interface Field {
  name: string;
  title: string;
  help: string;
  group: string;
  kind: Kind;
  required: boolean;
  /** What an empty field stands for; undefined where the recipe decides by itself. */
  fallback: unknown;
  /** Another field, without which this one has no use. */
  needs: string | null;
  choices: readonly Choice[];
  /** A number must keep to one of them. */
  bounds: readonly Bounds[];
  /** The names that an object may have; empty where it may have any. */
  keys: readonly string[];
  /** The one word that a list of names may be instead. */
  word: string | null;
  /** Whether a file or folder of the server may stand here. */
  path: boolean;
}

export interface Section {
  title: string;
  fields: Field[];
}

/** What people set most, in this order; all else is folded. */
const FIRST = [
  ...["model_name", "dataset_path", "name", "task", "num_train_epochs", "per_device_train_batch_size", "learning_rate"],
  ...["max_length", "eval_split", "gpus", "use_peft", "bf16"],
];
const PATHS = ["model_name", "dataset_path", "eval_dataset_path", "resume_from_checkpoint", "cwd"];

export interface Kernel {
  name: string;
  title: string;
  /** Whether it is the one that a job gets which names none. */
  usual: boolean;
}

/** All fields: the recipe's, and those that jobs of every kind have. */
export function fieldsOf(schema: Schema, kernels: readonly Kernel[]): Field[] {
  const required = schema.required ?? [];
  const recipe = Object.entries(schema.properties).map(([name, property]) => fieldOf(name, property, required.includes(name)));
  return [...recipe, ...jobFields(kernels)];
}

/** What stands open, and the groups to unfold, in the schema's order; the job's own before the last, which is "More". */
export function sectionsOf(schema: Schema, fields: readonly Field[]): { first: Field[]; folded: Section[] } {
  const first = FIRST.flatMap((name) => fields.filter((field) => field.name === name));
  const rest = fields.filter((field) => !first.includes(field));
  const groups = [...(schema["x-groups"] ?? [])];
  groups.splice(Math.max(0, groups.length - 1), 0, jobGroup());
  for (const { group } of rest) if (!groups.includes(group)) groups.push(group);
  const folded = groups.map((title) => ({ title, fields: rest.filter(({ group }) => group === title) }));
  return { first, folded: folded.filter((section) => section.fields.length > 0) };
}

function fieldOf(name: string, property: Property, required: boolean): Field {
  const shapes = (property.anyOf ?? [property]).filter(({ type }) => type !== "null");
  const types = shapes.flatMap(({ type }) => type ?? []);
  const choices = (property.enum ?? []).flatMap((value) => (typeof value === "string" ? [{ value, label: value }] : []));
  let kind: Kind = "text";
  if (choices.length > 0) kind = "choice";
  else if (types.includes("boolean")) kind = typeof property.default === "boolean" ? "flag" : "choice";
  else if (types.includes("array")) kind = "names";
  else if (types.includes("object")) kind = "object";
  else if (types.includes("integer") || types.includes("number")) kind = "number";
  const word = shapes.find((shape) => typeof shape.const === "string")?.const;
  return {
    name,
    title: property.title ?? name,
    help: property.description ?? "",
    group: property["x-group"] ?? "",
    kind,
    required,
    fallback: property.default,
    needs: property["x-needs"] ?? null,
    choices: kind === "choice" && choices.length === 0 ? yesOrNo() : choices,
    bounds: kind === "number" ? shapes : [],
    keys: property.propertyNames?.enum ?? [],
    word: typeof word === "string" ? word : null,
    path: PATHS.includes(name),
  };
}

const yesOrNo = (): Choice[] => [
  { value: true, label: __("yes") },
  { value: false, label: __("no") },
];

const jobGroup = (): string => __("Job");

function jobFields(kernels: readonly Kernel[]): Field[] {
  const group = jobGroup();
  const field = (name: string, title: string, description: string, property: Property): Field =>
    fieldOf(name, { ...property, title, description, "x-group": group }, false);
  const kernel = field("kernel_name", __("Kernel"), __("the environment that it runs in"), { type: "string" });
  return [
    field("name", __("Name"), __("how it is called here; after the model if empty"), { type: "string" }),
    field("gpus", __("GPUs"), __("how many it gets; by default one, if there is one"), { type: "integer", minimum: 0, maximum: 1024 }),
    kernels.length === 0
      ? kernel
      : {
          ...kernel,
          kind: "choice",
          fallback: kernels.find(({ usual }) => usual)?.name,
          choices: kernels.map(({ name, title }) => ({ value: name, label: title })),
        },
    field("priority", __("Priority"), __("the higher one of two that wait starts first"), { type: "integer", minimum: -100, maximum: 100, default: 0 }),
    field("keep_kernel", __("Seconds to keep the kernel"), __("after the end, for a look into what is left in its memory"), {
      type: "number",
      minimum: 0,
      maximum: 604_800,
      default: 0,
    }),
    field("stop_on_nan", __("Stop on NaN"), __("end it when the loss is no number any more"), { type: "boolean", default: false }),
    field("nan_patience", __("Patience with NaN"), __("losses in a row that are no number before that is an alert"), {
      type: "integer",
      minimum: 1,
      maximum: 1_000_000,
      default: 3,
    }),
    field("cwd", __("Folder"), __("where it works, and where paths begin"), { type: "string" }),
    field("env", __("Environment variables"), __('such as {"HF_HOME": "/data/hub"}'), { type: "object" }),
    field("alerts", __("Alerts"), __("thresholds of the alerts, by name"), { type: "object" }),
  ];
}
