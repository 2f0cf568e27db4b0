import { describe, expect, it } from "vitest";
import { formatTime, parseTime, ServerClock } from "./time";

describe("instants", () => {
  it("keep microseconds both ways", () => {
    const text = "2026-11-23T20:08:56.123456Z";
    expect(formatTime(parseTime(text) ?? 0)).toBe(text);
  });
  it("read other precisions and offsets", () => {
    expect(parseTime("2026-01-01T00:00:00Z")).toBe(Date.UTC(2026, 0, 1) * 1000);
    expect(parseTime("2026-01-01T01:00:00.5+01:00")).toBe(Date.UTC(2026, 0, 1) * 1000 + 500_000);
    expect(parseTime("1969-12-31T23:59:59.999999Z")).toBe(-1);
    expect(formatTime(-1)).toBe("1969-12-31T23:59:59.999999Z");
  });
  it("refuse what is no time", () => {
    for (const text of ["", "now", "2026-13-01T00:00:00Z", "2026-01-01", null, undefined]) {
      expect(parseTime(text)).toBeNull();
    }
  });
});

describe("the server's clock", () => {
  it("needs no correction where both clocks agree", () => {
    const clock = new ServerClock();
    clock.observe(new Date(10_000).toUTCString(), 10_200, 10_250);
    expect(clock.offsetMs()).toBe(0);
  });
  it("is narrowed by each answer", () => {
    const clock = new ServerClock();
    // The server is 5.3 s ahead.
    for (let sent = 0; sent < 5_000; sent += 130) {
      clock.observe(new Date(sent + 5_300 + 10).toUTCString(), sent, sent + 20);
    }
    expect(Math.abs(clock.offsetMs() - 5_300)).toBeLessThan(100);
  });
  it("begins again when a clock is set", () => {
    const clock = new ServerClock();
    clock.observe(new Date(100_000).toUTCString(), 100_000, 100_010);
    clock.observe(new Date(900_000).toUTCString(), 100_020, 100_030);
    expect(clock.offsetMs()).toBeGreaterThan(799_000);
  });
});
