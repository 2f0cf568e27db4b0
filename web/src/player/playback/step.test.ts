import { describe, expect, it } from "vitest";
import { type Leader, Stepper } from "./step";

/** A camera with a frame every 100, whose seeks end when the test says so. */
function make(at: number) {
  const floor = (time: number) => Math.floor(time / 100) * 100;
  let shown: number | null = null;
  let playhead = at;
  let arrive: () => void = () => undefined;
  const seeks: number[] = [];
  const leader: Leader & { settled: Promise<void> } = {
    settled: Promise.resolve(),
    shownAt: () => shown,
    neighbour: async (time, forward) => {
      const next = forward ? floor(time) + 100 : Math.ceil(time / 100) * 100 - 100;
      return next < 0 || next > 1000 ? null : next;
    },
  };
  const go = (time: number) => {
    playhead = time;
    seeks.push(time);
    leader.settled = new Promise((resolve) => {
      arrive = () => {
        shown = floor(time);
        resolve();
      };
    });
  };
  const stepper = new Stepper(
    () => leader,
    () => playhead,
    go,
  );
  /** Lets seeks arrive until nothing waits any more. */
  const finish = async (last: Promise<void>) => {
    let done = false;
    void last.then(() => {
      done = true;
    });
    while (!done) {
      arrive();
      await Promise.resolve();
    }
  };
  return { stepper, go, finish, seeks, shown: () => shown };
}

describe("stepping", () => {
  it("moves from the frame that is shown, not from the playhead inside it", async () => {
    const { stepper, go, finish, shown } = make(0);
    go(450);
    await finish(stepper.step(false));
    expect(shown()).toBe(300);
    await finish(stepper.step(true));
    expect(shown()).toBe(400);
  });

  it("waits for the picture that is loading", async () => {
    const { stepper, go, finish, seeks } = make(0);
    go(450);
    const step = stepper.step(true);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(seeks).toEqual([450]);
    await finish(step);
    expect(seeks).toEqual([450, 500]);
  });

  it("takes every press in turn, one frame each", async () => {
    const { stepper, go, finish, seeks } = make(0);
    go(200);
    void stepper.step(true);
    void stepper.step(true);
    void stepper.step(false);
    await finish(stepper.step(true));
    expect(seeks).toEqual([200, 300, 400, 300, 400]);
  });

  it("gives way to whatever else moves the playhead", async () => {
    const { stepper, go, finish, seeks } = make(0);
    go(200);
    void stepper.step(true);
    const last = stepper.step(true);
    stepper.cancel();
    go(800);
    await finish(last);
    expect(seeks).toEqual([200, 800]);
  });

  it("stays at the end of what is recorded, and goes on from there", async () => {
    const { stepper, go, finish, seeks } = make(0);
    go(1000);
    await finish(stepper.step(true));
    await finish(stepper.step(false));
    expect(seeks).toEqual([1000, 900]);
  });
});
