// What a job was asked to do and runs in, as rows of names and values. Pure; whatever is missing makes no row.

export type Row = [string, unknown];
export type Environment = Record<string, unknown>;

const empty = (value: unknown): boolean => typeof value === "object" && Object.keys(value ?? {}).length === 0;
const known = (value: unknown): boolean => value !== undefined && value !== "" && !empty(value);

/** The parameters of its training and the code it runs, told apart from what else it is and gets. */
export function given(spec: Readonly<Record<string, unknown>>): { parameters: Row[]; code: string; job: Row[] } {
  const { parameters, code, job_id, name, kind, ...rest } = spec;
  const job: Row[] = [["name", name], ["kind", kind], ["job_id", job_id], ...Object.entries(rest)];
  return { parameters: rows(parameters), code: typeof code === "string" ? code.trim() : "", job: job.filter(([, value]) => known(value)) };
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
