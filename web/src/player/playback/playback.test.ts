import { describe, expect, it } from "vitest";
import type { PlanAnswer, PlanFragment } from "../../data/api";
import { formatTime, SECOND } from "../../data/time";
import { advance, nextSpeed, shuttle } from "./clock";
import { Footage, WINDOW } from "./footage";
import { Pictures } from "./pictures";

describe("the common clock", () => {
  it("runs with the speed and the direction", () => {
    expect(advance(1000, 100, 4, [9999], 99_999)).toEqual({ at: 1400, stalled: false });
    expect(advance(1000, 100, -0.5, [0], 99_999)).toEqual({ at: 950, stalled: false });
  });
  it("never passes what the slowest camera has ready", () => {
    expect(advance(1000, 100, 1, [1050, 5000], 99_999)).toEqual({ at: 1050, stalled: true });
    expect(advance(1000, 100, -1, [980, 0], 99_999)).toEqual({ at: 980, stalled: true });
  });
  it("never turns round to wait", () => {
    expect(advance(1000, 100, 1, [900], 99_999)).toEqual({ at: 1000, stalled: true });
    expect(advance(1000, 100, -1, [1100], 99_999)).toEqual({ at: 1000, stalled: true });
  });
  it("stops at the live edge", () => {
    expect(advance(1000, 100, 16, [Number.POSITIVE_INFINITY], 1200)).toEqual({ at: 1200, stalled: true });
  });
});

describe("the shuttle keys", () => {
  it("double the speed in their direction and turn round in the other", () => {
    expect(shuttle(1, false, 1)).toBe(1);
    expect(shuttle(1, true, 1)).toBe(2);
    expect(shuttle(16, true, 1)).toBe(16);
    expect(shuttle(8, true, -1)).toBe(-1);
    expect(shuttle(-2, true, -1)).toBe(-4);
  });
  it("step through the speeds within their ends", () => {
    expect(nextSpeed(1, 1)).toBe(2);
    expect(nextSpeed(0.125, -1)).toBe(0.125);
    expect(nextSpeed(-16, 1)).toBe(-16);
  });
});

describe("the picture buffer", () => {
  const filled = () => {
    const closed: number[] = [];
    const pictures = new Pictures();
    for (const at of [30, 10, 20, 40])
      pictures.push({ at, duration: 10, image: { close: () => closed.push(at) } });
    return { pictures, closed };
  };
  it("finds the picture on screen at an instant", () => {
    const { pictures } = filled();
    expect(pictures.find(9)).toBeUndefined();
    expect(pictures.find(25)?.at).toBe(20);
    expect(pictures.find(99)?.at).toBe(40);
  });
  it("gives back what was passed, in both directions, and keeps what is shown", () => {
    const forward = filled();
    forward.pictures.trim(35, true);
    expect(forward.closed.sort()).toEqual([10, 20]);
    expect(forward.pictures.find(35)?.at).toBe(30);
    const back = filled();
    back.pictures.trim(25, false);
    expect(back.closed.sort()).toEqual([30, 40]);
    expect(back.pictures.find(25)?.at).toBe(20);
  });
  it("counts what lies ahead", () => {
    const { pictures } = filled();
    expect([pictures.ahead(15, true), pictures.ahead(15, false)]).toEqual([3, 1]);
  });
  it("closes every picture once", () => {
    const { pictures, closed } = filled();
    pictures.push({ at: 20, duration: 10, image: { close: () => closed.push(21) } });
    pictures.clear();
    expect(closed.sort()).toEqual([10, 20, 21, 30, 40]);
  });
});

/** Two seconds a group, two fragments each; nothing between 300 s and 900 s. */
function plan(start: number, end: number): PlanAnswer {
  const file = (name: string, from: number, to: number) => {
    const fragments: PlanFragment[] = [];
    for (let at = from; at < to; at += 1) {
      const absolute = at * SECOND;
      if (absolute + SECOND <= start || absolute >= end) continue;
      fragments.push([
        1000 + (at - from) * 100,
        100,
        (at - from) * 90_000,
        90_000,
        (at - from) % 2 === 0 ? 1 : 0,
      ]);
    }
    return {
      url: name,
      codec: "h264",
      codec_string: "avc1.64001f",
      timescale: 90_000,
      start: formatTime(from * SECOND),
      epoch: 1,
      init_bytes: 1000,
      fragments,
    };
  };
  const files = [file("a", 0, 300), file("b", 900, 1200)].filter((item) => item.fragments.length > 0);
  return { tracks: [{ kind: "video", stream: "s", codec: "h264", files }] };
}

describe("footage", () => {
  const signal = new AbortController().signal;
  const make = () => {
    const asked: number[] = [];
    const footage = new Footage(
      async (start, end) => {
        asked.push(start / WINDOW);
        return plan(start, end);
      },
      async (at, forward) => {
        if (forward) return at < 900 * SECOND ? 900 * SECOND : null;
        return at >= 300 * SECOND ? 300 * SECOND - 1000 : null;
      },
      () => 2000 * SECOND,
    );
    return { footage, asked };
  };

  it("finds the group on screen, with all its bytes", async () => {
    const { footage } = make();
    expect(await footage.at(61.5 * SECOND, signal)).toMatchObject({
      start: 60 * SECOND,
      end: 62 * SECOND,
      offset: 7000,
      bytes: 200,
      entryBytes: 100,
    });
  });
  it("has nothing in a gap, and finds both its ends", async () => {
    const { footage } = make();
    expect(await footage.at(500 * SECOND, signal)).toBeUndefined();
    expect((await footage.from(500 * SECOND, signal))?.start).toBe(900 * SECOND);
    expect((await footage.until(500 * SECOND, signal))?.start).toBe(298 * SECOND);
  });
  it("walks forth and back over windows and gaps", async () => {
    const { footage } = make();
    let gop = await footage.at(296 * SECOND, signal);
    const starts: number[] = [];
    for (let count = 0; gop && count < 4; count += 1) {
      starts.push(gop.start / SECOND);
      gop = await footage.next(gop, signal);
    }
    expect(starts).toEqual([296, 298, 900, 902]);
    gop = await footage.at(902 * SECOND, signal);
    const back: number[] = [];
    for (let count = 0; gop && count < 4; count += 1) {
      back.push(gop.start / SECOND);
      gop = await footage.previous(gop, signal);
    }
    expect(back).toEqual([902, 900, 298, 296]);
  });
  it("reads each window of the past once", async () => {
    const { footage, asked } = make();
    await Promise.all([footage.at(10 * SECOND, signal), footage.at(20 * SECOND, signal)]);
    await footage.at(30 * SECOND, signal);
    expect(asked).toEqual([0]);
  });
  it("ends where the recordings end", async () => {
    const { footage } = make();
    expect(await footage.from(1300 * SECOND, signal)).toBeUndefined();
  });
});
