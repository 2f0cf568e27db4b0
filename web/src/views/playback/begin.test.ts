import { expect, it } from "vitest";
import { HOUR, MINUTE, SECOND } from "../../data/time";
import { beginAt } from "./begin";

const NOW = 1_000 * HOUR;

it("opens a little before the end of the newest recording, of whichever camera", () => {
  const stopped = { start: NOW - 9 * HOUR, end: NOW - 5 * HOUR };
  const running = { start: NOW - HOUR, end: NOW - 2 * SECOND };
  expect(beginAt([stopped, running], NOW).at).toBe(NOW - 12 * SECOND);
  expect(beginAt([stopped], NOW).at).toBe(NOW - 5 * HOUR - 10 * SECOND);
});

it("never opens before a recording that has just begun", () => {
  const start = NOW - 4 * SECOND;
  expect(beginAt([{ start, end: NOW - SECOND }], NOW).at).toBe(start);
});

it("fits the timeline to a short recording and shows the end of a long one", () => {
  const short = beginAt([{ start: NOW - 6 * MINUTE, end: NOW }], NOW).view;
  expect(short).toEqual({ start: NOW - 6 * MINUTE, end: NOW + MINUTE });
  const long = beginAt([{ start: NOW - 48 * HOUR, end: NOW }], NOW).view;
  expect(long).toEqual({ start: NOW - 30 * MINUTE, end: NOW + 5 * MINUTE });
});

it("opens near now where nothing is recorded", () => {
  const { at, view } = beginAt([], NOW);
  expect(at).toBe(NOW - 10 * SECOND);
  expect(view.start).toBeLessThan(at);
  expect(view.end).toBeGreaterThan(at);
});
