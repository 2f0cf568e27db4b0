/** Which camera is on which tile, as it stands in the address: pure functions. */
import type { Id } from "../../data/api";

export const LAYOUTS = ["auto", "1", "4", "9", "16"] as const;
export type Layout = (typeof LAYOUTS)[number];
export const TILES_MAX = 16;

export interface Wall {
  layout: Layout;
  /** `null` is an empty tile; of an automatic wall without a choice, all cameras. */
  tiles: (Id | null)[];
  /** The enlarged camera. */
  big: Id | null;
}

export function readWall(search: URLSearchParams, all: Id[]): Wall {
  const asked = search.get("layout");
  const layout = LAYOUTS.find((item) => item === asked) ?? "auto";
  const named = search.get("cameras");
  let tiles: (Id | null)[] =
    named === null ? all : named.split(",").map((id) => (all.includes(id) ? id : null));
  tiles = tiles.slice(0, TILES_MAX);
  if (layout === "auto") tiles = tiles.filter((id) => id !== null);
  else {
    const count = Number(layout);
    tiles = Array.from({ length: count }, (_, index) => tiles[index] ?? null);
  }
  const big = search.get("big");
  return { layout, tiles, big: big && tiles.includes(big) ? big : null };
}

export function writeWall(wall: Wall): Record<"layout" | "cameras" | "big", string | null> {
  return {
    layout: wall.layout === "auto" ? null : wall.layout,
    cameras: wall.tiles.map((id) => id ?? "").join(",") || null,
    big: wall.big,
  };
}

/** Puts a camera on a tile. Where it was on another tile, the two change places. */
export function place(wall: Wall, camera: Id, index: number): Wall {
  const tiles = [...wall.tiles];
  const from = tiles.indexOf(camera);
  if (from === index) return wall;
  const replaced = tiles[index] ?? null;
  if (wall.layout === "auto" && index >= tiles.length) {
    if (from < 0 && tiles.length < TILES_MAX) tiles.push(camera);
  } else {
    tiles[index] = camera;
    if (from >= 0) tiles[from] = replaced;
  }
  return { ...wall, tiles };
}

export function remove(wall: Wall, camera: Id): Wall {
  const tiles =
    wall.layout === "auto"
      ? wall.tiles.filter((id) => id !== camera)
      : wall.tiles.map((id) => (id === camera ? null : id));
  return { ...wall, tiles, big: wall.big === camera ? null : wall.big };
}

export interface Grid {
  columns: number;
  rows: number;
  /** Whole pictures one under the other, which may scroll. */
  scrolls: boolean;
}

const ASPECT = 16 / 9;
/** On a narrow screen a tile is never narrower than this. */
const NARROW_PX = 600;

/** The grid in which `count` pictures of 16:9 become largest; narrow screens scroll instead. */
export function fitGrid(count: number, width: number, height: number, layout: Layout): Grid {
  if (width < NARROW_PX && height > width) {
    const columns = count > 4 ? 2 : 1;
    const rows = Math.ceil(count / columns);
    return { columns, rows, scrolls: true };
  }
  if (layout !== "auto") {
    const side = Math.sqrt(Number(layout));
    return { columns: side, rows: side, scrolls: false };
  }
  let best = { columns: 1, rows: Math.max(1, count), area: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const tile = Math.min(width / columns, (height / rows) * ASPECT);
    const area = tile * tile;
    // Of two grids that are nearly equal, the one nearer to a square.
    const squarer = Math.abs(columns - rows) < Math.abs(best.columns - best.rows);
    if (area >= best.area * (squarer ? 0.97 : 1)) best = { columns, rows, area };
  }
  return { columns: best.columns, rows: best.rows, scrolls: false };
}
