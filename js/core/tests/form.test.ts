// "New fine-tune": fields made of the schema, what is typed as values, the same call in Python, a dry run in words.
import { expect, test } from "vitest";
import { literal, pythonCall } from "../src/form/code";
import { entriesOfJob, entryOf, read, requestOf, useful } from "../src/form/entries";
import { reportLines } from "../src/form/report";
import type { DryRun } from "../src/form/requests";
import { fieldsOf, sectionsOf, type Field, type Schema } from "../src/form/schema";

const SCHEMA: Schema = {
  required: ["model_name", "dataset_path"],
  "x-groups": ["Model", "Data", "Training", "LoRA", "More"],
  properties: {
    model_name: { type: "string", title: "Model", "x-group": "Model" },
    dataset_path: { type: "string", title: "Data", "x-group": "Data" },
    task: { type: ["string", "null"], enum: ["causal-lm", "seq2seq", null], default: "causal-lm", "x-group": "Model" },
    packing: { type: ["boolean", "null"], "x-group": "Data", "x-needs": "task" },
    column_mapping: { type: ["object", "null"], propertyNames: { enum: ["text", "label"] }, "x-group": "Data" },
    learning_rate: { type: ["number", "null"], exclusiveMinimum: 0, maximum: 1000, default: 5e-5, "x-group": "Training" },
    max_steps: { type: ["integer", "null"], minimum: -1, maximum: 2 ** 31 - 1, not: { const: 0 }, default: -1, "x-group": "Training" },
    warmup_steps: {
      anyOf: [{ type: "integer", minimum: 0 }, { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 }, { type: "null" }],
      "x-group": "Training",
    },
    use_peft: { type: ["boolean", "null"], default: false, "x-group": "LoRA" },
    lora_r: { type: ["integer", "null"], minimum: 1, default: 16, "x-group": "LoRA", "x-needs": "use_peft" },
    lora_target_modules: {
      anyOf: [{ const: "all-linear" }, { type: "array" }, { type: "null" }],
      default: "all-linear",
      "x-group": "LoRA",
      "x-needs": "use_peft",
    },
    optim_args: { type: ["string", "null"], title: "optim_args", "x-group": "More" },
  },
};
const FIELDS = fieldsOf(SCHEMA, [
  { name: "python3", title: "Python 3", usual: true },
  { name: "gpu-env", title: "GPU", usual: false },
]);
const field = (name: string): Field => FIELDS.find((candidate) => candidate.name === name)!;
const problem = (name: string, entry: string): string | undefined => read(field(name), entry).problem;
const value = (name: string, entry: string): unknown => read(field(name), entry).value;

test("what people set most stands open, all else in the schema's groups, each field once", () => {
  const { first, folded } = sectionsOf(SCHEMA, FIELDS);
  expect(first.map(({ name }) => name)).toEqual(["model_name", "dataset_path", "name", "task", "learning_rate", "gpus", "use_peft"]);
  expect(folded.map(({ title }) => title)).toEqual(["Data", "Training", "LoRA", "Job", "More"]);
  const all = [...first, ...folded.flatMap(({ fields }) => fields)];
  expect(new Set(all).size).toBe(FIELDS.length);
});

test("a parameter that this page has never heard of has its field too", () => {
  const [only] = fieldsOf({ properties: { new_one: { type: "string", "x-group": "New" } } }, []);
  expect(only).toMatchObject({ name: "new_one", title: "new_one", kind: "text", group: "New" });
});

test("an empty field is left out, unless it is needed", () => {
  expect(read(field("optim_args"), "  ")).toEqual({});
  expect(problem("model_name", " ")).toBe("This is needed.");
  expect(requestOf(FIELDS, { model_name: "m", dataset_path: "d" }).values).toEqual({ model_name: "m", dataset_path: "d" });
});

test("numbers keep to their bounds, and the bounds are said", () => {
  expect(value("learning_rate", "5e-5")).toBe(5e-5);
  expect(value("max_steps", "−1")).toBe(-1);
  expect(value("warmup_steps", "100")).toBe(100);
  expect(value("warmup_steps", "0.1")).toBe(0.1);
  expect(problem("learning_rate", "0")).toBe("Must be a number, above 0, at most 1000.");
  for (const wrong of ["0", "1.5", "-2", "many", "1,000", "Infinity"]) {
    expect(problem("max_steps", wrong)).toBe("Must be a whole number, at least -1, not 0.");
  }
  expect(problem("warmup_steps", "1.5")).toBe("Must be a whole number, at least 0, or a number, above 0, below 1.");
});

test("choices, switches, lists of names and objects are what they say", () => {
  expect(value("task", "seq2seq")).toBe("seq2seq");
  expect(problem("task", "chess")).toBe("Must be one of: causal-lm, seq2seq.");
  expect(value("packing", "false")).toBe(false);
  expect(value("use_peft", "true")).toBe(true);
  expect(value("lora_target_modules", "all-linear")).toBe("all-linear");
  expect(value("lora_target_modules", "q_proj, v_proj,")).toEqual(["q_proj", "v_proj"]);
  expect(problem("lora_target_modules", " , ")).toBeDefined();
  expect(value("column_mapping", '{"text": "body"}')).toEqual({ text: "body" });
  expect(problem("column_mapping", '{"txt": "body"}')).toBe("txt is not one of: text, label.");
  for (const wrong of ["text", "[1]", "null", "{"]) expect(problem("column_mapping", wrong)).toContain("Must be an object");
});

test("what has no use is neither shown nor sent nor complained about", () => {
  const names = (entries: Record<string, string>): string[] => useful(FIELDS, entries).map(({ name }) => name);
  expect(names({})).not.toContain("lora_r");
  expect(names({})).toContain("packing");
  expect(names({ use_peft: "true", task: "seq2seq" })).toContain("lora_r");
  expect(names({ task: "seq2seq" })).not.toContain("packing");
  const { values, problems } = requestOf(FIELDS, { model_name: "m", dataset_path: "d", lora_r: "none" });
  expect(values).toEqual({ model_name: "m", dataset_path: "d" });
  expect(problems.size).toBe(0);
});

test("a job is launched again by what was said for it, defaults and secrets left out", () => {
  const spec = {
    name: "docs",
    gpus: null,
    kernel_name: "gpu-env",
    keep_kernel: 0,
    alerts: {},
    env: ["HF_TOKEN"],
    parameters: { model_name: "m", dataset_path: "d", learning_rate: 5e-5, use_peft: true, lora_r: null, lora_target_modules: ["q", "v"], column_mapping: { text: "b" } },
  };
  const entries = entriesOfJob(FIELDS, { spec });
  expect(entries).toEqual({
    model_name: "m",
    dataset_path: "d",
    name: "docs",
    kernel_name: "gpu-env",
    use_peft: "true",
    lora_target_modules: "q, v",
    column_mapping: '{"text":"b"}',
  });
  expect(requestOf(FIELDS, entries).values).toMatchObject({ use_peft: true, lora_target_modules: ["q", "v"], column_mapping: { text: "b" } });
  expect(entriesOfJob(FIELDS, { spec: null })).toEqual({});
  expect(entryOf(field("learning_rate"), 2e-5)).toBe("2e-5");
});

test("the call in Python says what is sent, and nothing that can't be seen", () => {
  expect(pythonCall({ model_name: "m", dataset_path: "d" })).toContain('job = trainlive.finetune("m", "d")\njob');
  expect(pythonCall({ model_name: "m", dataset_path: "d", bf16: true, learning_rate: 5e-5, column_mapping: { text: "b" } })).toContain(
    'trainlive.finetune(\n    "m",\n    "d",\n    bf16=True,\n    learning_rate=5e-5,\n    column_mapping={"text": "b"},\n)',
  );
  expect(literal(["a", null, { b: false }])).toBe('["a", None, {"b": False}]');
  expect(literal('"; import os #\u202e\u0007\n')).toBe('"\\"; import os #\\u202e\\u0007\\n"');
  expect(literal("\u{e0041}")).toBe('"\\U000e0041"');
});

test("a dry run in words: what fits, what does not, and what nobody knows", () => {
  const report: DryRun = {
    ...{ rows: 1, eval_rows: 0, tokens: 12_345, truncated_rows: 0, unusable_rows: 2, steps: 21, steps_per_epoch: 7 },
    ...{ trainable_parameters: 1000, all_parameters: 300_000, gpu_memory_gb: 24, fits: true, warnings: [] },
    memory_gb: { model: 10, gradients: 2, optimizer: 4, activations: 2, total: 18 },
  };
  const said = (more: Partial<DryRun> = {}): string[] =>
    reportLines({ ...report, ...more }).map(({ label, text }) => `${label}: ${text}`.replaceAll("\u00a0", " "));
  expect(said()).toEqual([
    "Data: 1 row to learn",
    "Tokens: 12,345",
    "Unusable: 2 rows are left out",
    "Steps: 21, 7 an epoch",
    "Trained: 1,000 of 300,000 (0.333 %)",
    "Memory: about 18.0 GB of the GPU's 24.0 GB: it fits",
  ]);
  expect(said({ fits: false, gpu_memory_gb: 16 }).at(-1)).toBe("Memory: about 18.0 GB, and the GPU has 16.0 GB: it does not fit");
  expect(said({ fits: null, gpu_memory_gb: null, estimated: true })).toContain("Tokens: about 12,345");
  expect(said({ rows: 2000, eval_rows: 1, truncated_rows: 40 }).slice(0, 3)).toEqual([
    "Data: 2,000 rows to learn, 1 row to evaluate on",
    "Tokens: 12,345",
    "Too long: 40 rows are cut",
  ]);
});
