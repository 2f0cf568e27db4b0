import { describe, expect, it } from "vitest";
import { HOUR, MINUTE, SECOND } from "../../data/time";
import { zoneOffset } from "../../i18n/format";
import {
  chooseStep,
  clampView,
  follow,
  nextEdge,
  panView,
  SPAN_MAX,
  SPAN_MIN,
  ticks,
  timeAt,
  union,
  windowsOf,
  xOf,
  zoomView,
} from "./scale";

const T = Date.UTC(2026, 9, 25) * 1000;
const view = { start: T, end: T + HOUR };

describe("the scale", () => {
  it("maps there and back", () => {
    for (const x of [0, 1, 333, 1000]) expect(xOf(view, timeAt(view, x, 1000), 1000)).toBeCloseTo(x, 6);
  });
  it("zooms around the pointer", () => {
    const anchor = T + 10 * MINUTE;
    for (const factor of [0.5, 2, 0.01]) {
      const next = zoomView(view, factor, anchor);
      expect(xOf(next, anchor, 1000)).toBeCloseTo(xOf(view, anchor, 1000), 3);
    }
  });
  it("stays between a second and a month", () => {
    const near = zoomView(view, 1e-9, T);
    expect(near.end - near.start).toBeCloseTo(SPAN_MIN);
    const far = zoomView(view, 1e9, T);
    expect(far.end - far.start).toBeCloseTo(SPAN_MAX);
  });
  it("pans, follows and does not leave the present", () => {
    expect(panView(view, MINUTE)).toEqual({ start: T + MINUTE, end: T + HOUR + MINUTE });
    expect(follow(view, T + MINUTE)).toBe(view);
    const after = follow(view, T + 2 * HOUR);
    expect(after.start).toBeLessThan(T + 2 * HOUR);
    expect(after.end).toBeGreaterThan(T + 2 * HOUR);
    expect(clampView({ start: T + 5 * HOUR, end: T + 6 * HOUR }, T).end).toBe(T + HOUR / 2);
  });
});

describe("ticks", () => {
  it("leave room for their labels at every zoom", () => {
    for (let span = SECOND; span <= SPAN_MAX; span *= 1.7) {
      const step = chooseStep({ start: T, end: T + span }, 1200);
      const list = ticks({ start: T, end: T + span }, step, () => 0);
      const majors = list.filter((tick) => tick.major);
      expect(majors.length).toBeLessThanOrEqual(16);
      expect(list.length).toBeLessThan(200);
    }
  });
  it("stand on round local times across the end of summer time", () => {
    const day = { start: T - 2 * HOUR, end: T + 30 * HOUR };
    const offset = (at: number) => zoneOffset(at, "Europe/Berlin");
    const midnights = ticks(day, { minor: HOUR, major: 6 * HOUR, label: "minutes" }, offset)
      .filter((tick) => tick.midnight)
      .map((tick) => tick.at - T);
    // 25 October 2026 has 25 hours in Berlin.
    expect(midnights).toEqual([-2 * HOUR, 23 * HOUR]);
  });
});

describe("spans", () => {
  it("merge into the summary", () => {
    expect(
      union([
        { start: 5, end: 9 },
        { start: 0, end: 3 },
        { start: 3, end: 4 },
        { start: 8, end: 12 },
      ]),
    ).toEqual([
      { start: 0, end: 4 },
      { start: 5, end: 12 },
    ]);
  });
  it("give their next beginning", () => {
    const spans = [
      { start: 10 * SECOND, end: 20 * SECOND },
      { start: 30 * SECOND, end: 40 * SECOND },
    ];
    expect(nextEdge(spans, 12 * SECOND, true)).toBe(30 * SECOND);
    expect(nextEdge(spans, 12 * SECOND, false)).toBe(10 * SECOND);
    expect(nextEdge(spans, 35 * SECOND, true)).toBeNull();
  });
});

describe("windows", () => {
  it("cover the view, are aligned and few", () => {
    for (let span = SECOND; span <= SPAN_MAX; span *= 3.1) {
      const asked = { start: T + 12_345, end: T + 12_345 + span };
      const windows = windowsOf(asked);
      expect(windows.length).toBeLessThanOrEqual(2);
      expect(windows[0]?.start).toBeLessThanOrEqual(asked.start);
      expect(windows.at(-1)?.end).toBeGreaterThanOrEqual(asked.end);
    }
  });
  it("stay the same while the view moves a little", () => {
    const one = windowsOf({ start: T + MINUTE, end: T + 30 * MINUTE });
    const two = windowsOf({ start: T + 2 * MINUTE, end: T + 31 * MINUTE });
    expect(two).toEqual(one);
  });
});
