// Colours for several jobs: each keeps its own for as long as it is compared, whoever comes or goes.

/** As many as can be told apart, with the custom properties that hold their colours. */
export const MOST_JOBS = 10;

export class Slots {
  private readonly held = new Map<string, number>();

  /** The colour of a job: the first that is free when it comes. */
  take(job_id: string): string {
    let slot = this.held.get(job_id);
    if (slot === undefined) {
      const taken = new Set(this.held.values());
      for (slot = 1; taken.has(slot); ) slot += 1;
      this.held.set(job_id, slot);
    }
    return `--tl-job-${slot}`;
  }

  /** Jobs in the order of their colours: so they stand, and so they come back after a reload. */
  order(a: string, b: string): number {
    return (this.held.get(a) ?? 0) - (this.held.get(b) ?? 0);
  }

  free(job_id: string): void {
    this.held.delete(job_id);
  }
}

/** Names that tell jobs apart: where several have one name, the end of its id goes with it. */
export function labels(jobs: readonly { job_id: string; name?: string | null | undefined }[]): string[] {
  const names = jobs.map(({ job_id, name }) => name || job_id);
  return names.map((name, k) => (names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${jobs[k]!.job_id.slice(-4)})`));
}
