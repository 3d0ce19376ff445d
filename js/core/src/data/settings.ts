// What a job was asked to do and runs in, as rows of names and values. Pure; whatever is missing makes no row.

export type Row = [string, unknown];
export type Environment = Record<string, unknown>;

/** These say what the job is and gets; anything else in what was asked for is a parameter of its training. */
const OF_THE_JOB = ["name", "kind", "job_id", "kernel_name", "gpus", "processes", "env", "cwd", "path", "args", "auto_resume", "keep_kernel", "version", "owner", "created_at"];
/** They lie in a field of their own. */
const INNER = "parameters";

const known = (value: unknown): boolean => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);

export function given(spec: Readonly<Record<string, unknown>>): { parameters: Row[]; job: Row[] } {
  const { [INNER]: inner, ...rest } = spec;
  const own = typeof inner === "object" && inner !== null ? Object.entries(inner) : [];
  const all = Object.entries(rest).filter(([, value]) => known(value));
  return {
    parameters: [...own.filter(([, value]) => known(value)), ...all.filter(([name]) => !OF_THE_JOB.includes(name))],
    job: all.filter(([name]) => OF_THE_JOB.includes(name)),
  };
}

const record = (value: unknown): Record<string, unknown> => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {});
const rows = (value: unknown): Row[] => Object.entries(record(value)).filter(([, each]) => known(each));

/** An environment in groups: the machine with Python, git and GPUs as one, where each knows what belongs together. */
export function groupsOf(environment: Environment | null): { machine: Row[]; seeds: Row[]; variables: Row[]; packages: Row[] } {
  const { python, git, gpus, seeds, variables, packages, ...rest } = environment ?? {};
  const inside = (name: string, value: unknown): Row[] => rows(value).map(([part, each]) => [`${name} ${part}`, each]);
  return {
    machine: [...inside("python", python), ...rows(rest), ...inside("git", git), ...inside("GPU", gpus)],
    seeds: rows(seeds),
    variables: rows(variables),
    packages: rows(packages),
  };
}

/** A value as one reads it: lists with commas, anything deeper as JSON. */
export function said(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((each) => typeof each !== "object" || each === null)) return value.map(String).join(", ");
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}
