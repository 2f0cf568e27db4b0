/**
 * Decides which transport a live tile uses and when it tries again.
 *
 * Pure: events and the time go in, the next state and what to do come out. WHEP comes first because it has
 * the least delay; fMP4 over WebSocket works where WebRTC is blocked or the codec needs MSE. What gave a
 * picture is tried first the next time.
 */
export type Transport = "whep" | "mse";

export type State =
  | { name: "idle" }
  | { name: "connecting"; transport: Transport; since: number; tries: number; left: Transport[] }
  | { name: "playing"; transport: Transport; since: number }
  | { name: "waiting"; until: number; tries: number };

export type Input =
  | { type: "start" }
  | { type: "picture" }
  /** The transport failed; `final` when trying this same transport again is useless. */
  | { type: "failed"; final?: boolean }
  | { type: "tick" }
  | { type: "stop" };

export type Action = { type: "open"; transport: Transport } | { type: "close" };

export interface Step {
  state: State;
  actions: Action[];
}

/** A transport that gave no picture by then has failed. */
export const CONNECT_MS: Record<Transport, number> = { whep: 6_000, mse: 8_000 };
/** A transport that played this long is trusted to come back. */
export const TRUSTED_MS = 10_000;
const BACK_OFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

export interface Choice {
  /** In order of preference; never empty. */
  order: Transport[];
  /** 0 to 1; spreads the retries of many tiles. */
  jitter: number;
}

function open(transport: Transport, left: Transport[], tries: number, now: number, close: boolean): Step {
  return {
    state: { name: "connecting", transport, since: now, tries, left },
    actions: [...(close ? [{ type: "close" } as const] : []), { type: "open", transport }],
  };
}

function first(choice: Choice, tries: number, now: number, close: boolean): Step {
  const [transport, ...left] = choice.order;
  if (!transport) return { state: { name: "idle" }, actions: [] };
  return open(transport, left, tries, now, close);
}

function wait(choice: Choice, tries: number, now: number): Step {
  const base = BACK_OFF_MS[Math.min(tries, BACK_OFF_MS.length - 1)] ?? 15_000;
  return {
    state: { name: "waiting", until: now + base * (0.75 + choice.jitter / 2), tries: tries + 1 },
    actions: [{ type: "close" }],
  };
}

export function step(state: State, input: Input, now: number, choice: Choice): Step {
  const same: Step = { state, actions: [] };
  if (input.type === "stop") {
    return { state: { name: "idle" }, actions: state.name === "idle" ? [] : [{ type: "close" }] };
  }
  switch (state.name) {
    case "idle":
      return input.type === "start" ? first(choice, 0, now, false) : same;
    case "connecting": {
      if (input.type === "picture") {
        return { state: { name: "playing", transport: state.transport, since: now }, actions: [] };
      }
      const late = input.type === "tick" && now - state.since >= CONNECT_MS[state.transport];
      if (input.type !== "failed" && !late) return same;
      const [next, ...left] = state.left;
      return next ? open(next, left, state.tries, now, true) : wait(choice, state.tries, now);
    }
    case "playing": {
      if (input.type !== "failed") return same;
      // After a long good run the same transport comes first again; a short one counts as a try.
      const trusted = !input.final && now - state.since >= TRUSTED_MS;
      return wait(choice, trusted ? 0 : 1, now);
    }
    case "waiting":
      return input.type === "tick" && now >= state.until ? first(choice, state.tries, now, false) : same;
  }
}

/** The stream that suits a tile: the sub-stream where its lines would be enough for the pixels shown. */
export function streamFor(
  tileHeightPx: number,
  subHeight: number | undefined,
  current: "live" | "sub" | undefined,
): "live" | "sub" {
  if (!subHeight) return "live";
  // Hysteresis: a tile near the limit must not flap between streams while it is resized.
  const limit = current === "sub" ? 1.4 : 1.15;
  return tileHeightPx <= subHeight * limit ? "sub" : "live";
}
