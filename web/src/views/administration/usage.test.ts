import { describe, expect, it } from "vitest";
import type { StorageCamera } from "../../data/api";
import { foldSound } from "./usage";

const row = (camera: string, used_bytes: number, oldest: string): StorageCamera => ({
  camera,
  name: camera,
  used_bytes,
  bytes_per_day: used_bytes,
  oldest,
  newest: oldest,
});

describe("usage by camera", () => {
  it("counts a microphone with its camera, in whatever order they come", () => {
    const rows = foldSound(
      [
        row("mic", 5, "2026-01-01T00:00:00Z"),
        row("cam", 100, "2026-01-02T00:00:00Z"),
        row("other", 7, "2026-01-03T00:00:00Z"),
      ],
      [
        { id: "cam", name: "Gate", microphone: "mic" },
        { id: "other", name: "Roof", microphone: null },
      ],
    );
    expect(rows.map(({ camera, name, used_bytes }) => [camera, name, used_bytes])).toEqual([
      ["cam", "cam", 105],
      ["other", "other", 7],
    ]);
    expect(rows[0]).toMatchObject({ oldest: "2026-01-01T00:00:00Z", newest: "2026-01-02T00:00:00Z" });
  });
  it("keeps what belongs to no camera any more", () => {
    expect(foldSound([row("gone", 3, "2026-01-01T00:00:00Z")], []).map((item) => item.used_bytes)).toEqual([
      3,
    ]);
  });
});
