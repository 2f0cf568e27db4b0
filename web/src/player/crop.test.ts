import { expect, it } from "vitest";
import { cropOffset } from "./crop";

/** An `avcC` record around one parameter set. */
function record(sps: number[]): Uint8Array {
  return new Uint8Array([1, sps[1]!, sps[2]!, sps[3]!, 255, 225, 0, sps.length, ...sps]);
}
// 1280×768 coded, 720 rows shown from row 32 on.
const CROPPED = [103, 66, 192, 32, 218, 1, 64, 23, 252, 35, 128, 120, 64, 33, 80];

it("finds where the visible picture begins", () => {
  expect(cropOffset(record(CROPPED))).toEqual({ x: 0, y: 32 });
});

it("has no offset where rows are cut at the bottom alone", () => {
  // 1920×1088 coded, 1080 shown; High profile.
  const sps = [103, 100, 0, 40, 172, 209, 0, 120, 2, 39, 229, 155, 128, 128, 128, 160];
  expect(cropOffset(record(sps))).toEqual({ x: 0, y: 0 });
});

it("survives whatever a file holds", () => {
  expect(cropOffset(undefined)).toEqual({ x: 0, y: 0 });
  expect(cropOffset(new Uint8Array([1, 2, 3]))).toEqual({ x: 0, y: 0 });
  for (let length = 0; length < CROPPED.length; length += 1)
    expect(cropOffset(record([...CROPPED.slice(0, length), 0, 0, 0, 0].slice(0, 15)))).toMatchObject({
      x: 0,
    });
});
