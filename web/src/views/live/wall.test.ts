import { describe, expect, it } from "vitest";
import { fitGrid, place, readWall, remove, writeWall } from "./wall";
import { clampZoom, zoomAround } from "./zoom";

const all = ["a", "b", "c", "d", "e"];
const read = (search: string) => readWall(new URLSearchParams(search), all);

describe("the wall in the address", () => {
  it("shows all cameras where nobody chose", () => {
    expect(read("")).toEqual({ layout: "auto", tiles: all, big: null });
  });
  it("keeps places, empty tiles and the big one", () => {
    expect(read("layout=4&cameras=c,,a&big=a")).toEqual({
      layout: "4",
      tiles: ["c", null, "a", null],
      big: "a",
    });
  });
  it("drops cameras that are gone and layouts that are none", () => {
    expect(read("layout=7&cameras=a,zz&big=zz")).toEqual({ layout: "auto", tiles: ["a"], big: null });
  });
  it("reads back what it writes", () => {
    const wall = read("layout=9&cameras=b,,c&big=c");
    const written = Object.entries(writeWall(wall)).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    expect(readWall(new URLSearchParams(written), all)).toEqual(wall);
  });
});

describe("placing cameras", () => {
  it("swaps two tiles", () => {
    expect(place(read("layout=4&cameras=a,b"), "b", 0).tiles).toEqual(["b", "a", null, null]);
  });
  it("replaces and fills", () => {
    expect(place(read("layout=4&cameras=a,b"), "e", 3).tiles).toEqual(["a", "b", null, "e"]);
  });
  it("adds to an automatic wall", () => {
    expect(place(read("cameras=a"), "b", 1).tiles).toEqual(["a", "b"]);
  });
  it("takes away", () => {
    expect(remove(read("cameras=a,b&big=a"), "a")).toEqual({ layout: "auto", tiles: ["b"], big: null });
    expect(remove(read("layout=4&cameras=a,b"), "a").tiles).toEqual([null, "b", null, null]);
  });
});

describe("the grid", () => {
  it("makes pictures as large as they can be", () => {
    expect(fitGrid(4, 1600, 900, "auto")).toMatchObject({ columns: 2, rows: 2 });
    expect(fitGrid(3, 2400, 450, "auto")).toMatchObject({ columns: 3, rows: 1 });
    expect(fitGrid(6, 1600, 900, "auto")).toMatchObject({ columns: 3, rows: 2 });
  });
  it("keeps a fixed layout, and scrolls on a phone", () => {
    expect(fitGrid(9, 1600, 900, "9")).toEqual({ columns: 3, rows: 3, scrolls: false });
    expect(fitGrid(4, 360, 640, "4")).toEqual({ columns: 1, rows: 4, scrolls: true });
  });
});

describe("digital zoom", () => {
  it("keeps the point under the pointer", () => {
    const state = zoomAround({ factor: 1, x: 0, y: 0 }, -300, 0.25, 0.5);
    expect(state.factor).toBeCloseTo(2);
    expect((0.25 - state.x) / state.factor).toBeCloseTo(0.25);
  });
  it("never shows beside the picture", () => {
    expect(clampZoom({ factor: 2, x: 0.5, y: -3 })).toEqual({ factor: 2, x: 0, y: -1 });
  });
});
