// When to connect, retry, ask why, and stop, on one way to the server: a pure state machine. Time, chance and sockets come
// in from outside.

/** What a viewer should know about the connection. */
export type Live = "connecting" | "live" | "reconnecting" | "ended" | "missing" | "forbidden" | "closed";

export interface ConnectionState {
  readonly phase: "idle" | "opening" | "live" | "asking" | "waiting" | "stopped";
  /** Failed attempts since the last hello. */
  readonly attempt: number;
  /** Whether the server ever said hello: before that we connect, afterwards we reconnect. */
  readonly met: boolean;
  /** Whether the server knows the job and says so over REST, though the way itself is closed. */
  readonly answers: boolean;
  readonly live: Live;
}

/** Why a job cannot be watched on a way that was refused. */
export type Reason = "exists" | "missing" | "forbidden" | "away";

export type ConnectionEvent =
  | { type: "start" }
  | { type: "hello" }
  | { type: "end" }
  | { type: "closed" }
  /** REST's answer to why a socket was refused: the browser itself only says 1006. */
  | { type: "answer"; reason: Reason }
  | { type: "timer" }
  /** A job that had ended goes on: it was resumed. */
  | { type: "revive" }
  /** A better way is there. */
  | { type: "rest" }
  /** The network came back or the page is looked at again. */
  | { type: "wake"; silent_ms: number }
  | { type: "stop" };

export type ConnectionAction =
  | { do: "open" }
  | { do: "subscribe" }
  | { do: "ask" }
  | { do: "wait"; ms: number }
  | { do: "drop" };

export const FIRST_DELAY_MS = 500;
export const LONGEST_DELAY_MS = 15_000;
/** A socket this silent at a wake-up may have died in the machine's sleep; a fresh one costs little and loses nothing. */
export const SUSPECT_SILENCE_MS = 20_000;

export const IDLE: ConnectionState = { phase: "idle", attempt: 0, met: false, answers: false, live: "connecting" };

/** Exponential, capped, and spread over its upper half, so that many pages do not return in one beat. */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.5 + random / 2));
}

type Step = readonly [ConnectionState, readonly ConnectionAction[]];

export function advance(state: ConnectionState, event: ConnectionEvent, random: number): Step {
  const stay: Step = [state, []];
  if (event.type === "stop") return [{ ...state, phase: "stopped", live: "closed" }, [{ do: "drop" }]];
  if (event.type === "rest") return state.phase === "idle" ? stay : [{ ...IDLE, met: state.met }, [{ do: "drop" }]];
  if (state.phase === "stopped") {
    if (event.type === "revive" && state.live === "ended") return open({ ...state, attempt: 0, met: false });
    // Signed out is the one stop that can heal by itself: the user signs in elsewhere and comes back.
    return event.type === "wake" && state.live === "forbidden" ? open(state) : stay;
  }
  switch (event.type) {
    case "start":
      return state.phase === "idle" ? open(state) : stay;
    case "hello":
      // A relay may begin anew on a link that is live.
      if (state.phase !== "opening" && state.phase !== "live") return stay;
      return [{ phase: "live", attempt: 0, met: true, answers: false, live: "live" }, [{ do: "subscribe" }]];
    case "end":
      return [{ ...state, phase: "stopped", live: "ended" }, [{ do: "drop" }]];
    case "closed":
      // Refused before hello: the reason is to be had over REST only. Broken afterwards: just come back.
      if (state.phase === "opening") return [{ ...state, phase: "asking" }, [{ do: "ask" }]];
      return state.phase === "live" ? retry(state, random) : stay;
    case "answer":
      if (state.phase !== "asking") return stay;
      if (event.reason === "missing" || event.reason === "forbidden") {
        return [{ ...state, phase: "stopped", live: event.reason }, []];
      }
      return retry({ ...state, answers: event.reason === "exists" }, random);
    case "revive":
      return stay;
    case "timer":
      return state.phase === "waiting" ? open(state) : stay;
    case "wake":
      if (state.phase === "waiting") return open(state);
      if (state.phase === "live" && event.silent_ms > SUSPECT_SILENCE_MS) {
        const [next, actions] = open(state);
        return [next, [{ do: "drop" }, ...actions]];
      }
      return stay;
  }
}

function open(state: ConnectionState): Step {
  return [{ ...state, phase: "opening", live: state.met ? "reconnecting" : "connecting" }, [{ do: "open" }]];
}

function retry(state: ConnectionState, random: number): Step {
  const next = { ...state, phase: "waiting", attempt: state.attempt + 1 } as const;
  return [{ ...next, live: state.met ? "reconnecting" : "connecting" }, [{ do: "wait", ms: backoff(state.attempt, random) }]];
}
