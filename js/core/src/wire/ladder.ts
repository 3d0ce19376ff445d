// Which ways to the server are at work: the best one always, the others while it fails. Pure.

import type { ConnectionState, Live } from "./connection";

/** How a page hears of its job: over a socket of its own, through the notebook's kernel, or by asking now and then. */
export type Via = "socket" | "kernel" | "polling";

/** For each way, best first, whether it should be at work. */
export function atWork(ways: readonly { via: Via; state: ConnectionState }[]): boolean[] {
  const live = ways.findIndex(({ state }) => state.phase === "live");
  const ended = ways.some(({ state }) => state.live === "ended");
  // One that only says that the job is there can still be asked again and again.
  const answers = ways.some(({ state }) => state.answers);
  return ways.map(({ via, state }, k) => {
    if (ended) return state.live === "ended";
    if (k === 0) return true;
    if (live !== -1 && live < k) return false;
    return hasFailed(ways[0]!.state) && (via !== "polling" || answers || state.phase === "live");
  });
}

/** A connection that breaks is mostly there again at once: nobody need stand in for it. */
function hasFailed({ attempt, met, live }: ConnectionState): boolean {
  return live === "missing" || live === "forbidden" || attempt >= (met ? 2 : 1);
}

/** What a viewer should know of all ways together; `met`: whether the server was heard on any of them. */
export function together(states: readonly ConnectionState[], met: boolean): Live {
  const lives = states.map(({ live }) => live);
  for (const word of ["live", "ended", "missing", "forbidden", "closed"] as const) if (lives.includes(word)) return word;
  return met ? "reconnecting" : "connecting";
}
