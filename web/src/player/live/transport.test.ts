import { describe, expect, it } from "vitest";
import { CONNECT_MS, type Input, type State, step, streamFor, TRUSTED_MS } from "./transport";

const choice = { order: ["whep", "mse"] as ("whep" | "mse")[], jitter: 0.5 };

/** Plays inputs at times and gives what was opened and closed. */
function play(inputs: [number, Input][], order = choice.order): { state: State; done: string[] } {
  let state: State = { name: "idle" };
  const done: string[] = [];
  for (const [now, input] of inputs) {
    const result = step(state, input, now, { ...choice, order });
    state = result.state;
    for (const action of result.actions) {
      done.push(action.type === "open" ? `${now} open ${action.transport}` : `${now} close`);
    }
  }
  return { state, done };
}

describe("the transport of a tile", () => {
  it("is WHEP where that works", () => {
    const { state, done } = play([
      [0, { type: "start" }],
      [200, { type: "picture" }],
    ]);
    expect(done).toEqual(["0 open whep"]);
    expect(state).toMatchObject({ name: "playing", transport: "whep" });
  });
  it("falls back to MSE when WHEP is refused", () => {
    const { state, done } = play([
      [0, { type: "start" }],
      [50, { type: "failed", final: true }],
      [90, { type: "picture" }],
    ]);
    expect(done).toEqual(["0 open whep", "50 close", "50 open mse"]);
    expect(state).toMatchObject({ name: "playing", transport: "mse" });
  });
  it("falls back when no picture comes in time", () => {
    const { done } = play([
      [0, { type: "start" }],
      [CONNECT_MS.whep - 1, { type: "tick" }],
      [CONNECT_MS.whep, { type: "tick" }],
    ]);
    expect(done).toEqual(["0 open whep", `${CONNECT_MS.whep} close`, `${CONNECT_MS.whep} open mse`]);
  });
  it("tries what worked before first", () => {
    expect(play([[0, { type: "start" }]], ["mse", "whep"]).done).toEqual(["0 open mse"]);
  });
  it("waits longer after each round without a picture, and then begins anew", () => {
    const inputs: [number, Input][] = [[0, { type: "start" }]];
    const waits: number[] = [];
    let state: State = { name: "idle" };
    let now = 0;
    for (let round = 0; round < 7; round += 1) {
      const next: Input[] = round === 0 ? inputs.map(([, input]) => input) : [{ type: "tick" }];
      for (const input of [...next, { type: "failed" } as Input, { type: "failed" } as Input]) {
        state = step(state, input, now, choice).state;
      }
      expect(state.name).toBe("waiting");
      if (state.name !== "waiting") return;
      waits.push(state.until - now);
      now = state.until;
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  });
  it("comes back at once after a long good run", () => {
    const { state } = play([
      [0, { type: "start" }],
      [100, { type: "picture" }],
      [100 + TRUSTED_MS, { type: "failed" }],
    ]);
    expect(state).toMatchObject({ name: "waiting", until: 100 + TRUSTED_MS + 500 });
  });
  it("stops from every state and closes what is open", () => {
    expect(
      play([
        [0, { type: "start" }],
        [1, { type: "stop" }],
      ]).done,
    ).toEqual(["0 open whep", "1 close"]);
    expect(play([[0, { type: "stop" }]]).done).toEqual([]);
  });
});

describe("the stream of a tile", () => {
  it("is the small one where its lines suffice", () => {
    expect(streamFor(300, 360, undefined)).toBe("sub");
    expect(streamFor(720, 360, undefined)).toBe("live");
    expect(streamFor(300, undefined, undefined)).toBe("live");
  });
  it("does not flap near the limit", () => {
    expect(streamFor(450, 360, "sub")).toBe("sub");
    expect(streamFor(450, 360, "live")).toBe("live");
  });
});
