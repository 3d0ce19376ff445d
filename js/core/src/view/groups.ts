// Which charts belong together, which come first, and which are left out until somebody asks for them.

import { __ } from "../i18n";

export type Group = "train" | "eval" | "optimizer" | "system" | "own";

export const GROUPS: readonly Group[] = ["train", "eval", "optimizer", "system", "own"];

export function groupTitle(group: Group): string {
  const titles: Record<Group, string> = {
    train: __("Training"),
    eval: __("Evaluation"),
    optimizer: __("Optimizer"),
    system: __("System"),
    own: __("Own metrics"),
  };
  return titles[group];
}

// Names as transformers, TRL, Lightning, accelerate and people's own loops choose them. The first that fits decides.
const BY_NAME: readonly (readonly [Group, RegExp])[] = [
  ["system", /(_per_second|_runtime|_seconds|(^|[_/])(gpu|cpu|memory|throughput|step_time|total_flos|num_tokens|num_input_tokens_seen|epoch|progress)([_/.-]|$)|^system[_/.-])/i],
  ["eval", /^(eval|val|valid|validation|test)([_/.-]|$)/i],
  ["optimizer", /(^|[_/.-])(lr|learning_rate|(grad|gradient)_norm|weight_decay|momentum|loss_scale)([_/.-]|$)/i],
  ["train", /(^(train|training)[_/.-]|(^|[_/.-])loss$|^(acc|accuracy|mean_token_accuracy|entropy|perplexity|ppl)$)/i],
];

export function groupOf(name: string): Group {
  return BY_NAME.find(([, names]) => names.test(name))?.[0] ?? "own";
}

/** The names of a loss and of its evaluation, the likelier first. */
const LOSSES = ["loss", "train_loss", "train/loss", "training_loss"];
const EVAL_LOSSES = ["eval_loss", "val_loss", "eval/loss", "val/loss", "valid_loss", "validation_loss", "test_loss"];
/** These stand right below the main chart, each under the first of its names that there is. */
const OVERVIEW = [
  ["learning_rate", "lr"],
  ["grad_norm", "gradient_norm"],
  ["step_time_seconds", "step_time"],
];

/** Tells whether a job, or any of some, has a series of this name. */
export type Has = (name: string) => boolean;

/** The loss and its evaluation, as far as they are there. */
export function lossNames(has: Has): string[] {
  return [LOSSES.find(has), EVAL_LOSSES.find(has)].filter((name) => name !== undefined);
}

/** What stands in the overview; what is not there bears the likeliest of its names. */
export function overviewNames(has: Has): string[] {
  return OVERVIEW.map((names) => names.find(has) ?? names[0]!);
}

/** These say again what the facts say, or are logged once at the end: no curve that one looks for. */
export function isMinor(name: string, has: Has): boolean {
  return (name === "train_loss" && has("loss")) || MINOR.test(name);
}
const MINOR = /^(epoch|progress|eta_seconds|total_flos|(train|eval)_(runtime|(samples|steps)_per_second))$/;

/** Whether a name is what somebody looks for: all words of it, in any order, spelled with spaces or as they are. */
export function matches(name: string, search: string): boolean {
  const text = `${name} ${name.replaceAll("_", " ")}`.toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
