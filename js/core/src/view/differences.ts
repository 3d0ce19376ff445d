// What several jobs were told differently, as rows of a table. Pure.

/** One parameter with what each job has for it; null where a job does not have it. */
export interface Difference {
  name: string;
  values: (string | null)[];
}

/** What says nothing about how a job trains: two runs of the same settings differ in these. */
const NOT_SETTINGS = new Set(["name", "job_id"]);

/** The parameters in which any two differ, in the order in which the jobs have them. Unknown settings (null) say nothing. */
export function differences(all: readonly (Readonly<Record<string, unknown>> | null)[]): Difference[] {
  const flat = all.map((settings) => (settings ? flattened(settings) : null));
  const names = new Set(flat.flatMap((settings) => [...(settings?.keys() ?? [])]));
  return [...names]
    .map((name) => ({ name, values: flat.map((settings) => settings?.get(name) ?? null) }))
    .filter(({ values }) => new Set(values.filter((_, k) => flat[k] !== null)).size > 1);
}

/** What is nested by its path, with dots; parameters by their names alone, as one writes them. */
function flattened(settings: Readonly<Record<string, unknown>>): Map<string, string> {
  const flat = new Map<string, string>();
  const add = (path: string, value: unknown): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) add(path && path !== "parameters" ? `${path}.${key}` : key, inner);
    } else if (value != null && !NOT_SETTINGS.has(path)) {
      flat.set(path, typeof value === "string" ? value : JSON.stringify(value));
    }
  };
  add("", settings);
  return flat;
}
