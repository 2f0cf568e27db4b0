/** Digital zoom of a tile: the wheel zooms around the pointer, dragging moves the picture. */
import { type RefObject, useEffect, useRef, useState } from "react";

const FACTOR_MAX = 8;

export interface ZoomState {
  factor: number;
  /** Offset of the picture in fractions of the tile. */
  x: number;
  y: number;
}

/** Zooms so that the point under the pointer stays; `px` and `py` are fractions of the tile. Pure. */
export function zoomAround(state: ZoomState, delta: number, px: number, py: number): ZoomState {
  const factor = Math.min(FACTOR_MAX, Math.max(1, state.factor * 2 ** (-delta / 300)));
  const scale = factor / state.factor;
  return clampZoom({ factor, x: px - (px - state.x) * scale, y: py - (py - state.y) * scale });
}

/** Keeps the tile covered by the picture. */
export function clampZoom({ factor, x, y }: ZoomState): ZoomState {
  const clamp = (value: number) => Math.min(0, Math.max(1 - factor, value));
  return { factor, x: clamp(x), y: clamp(y) };
}

const NONE: ZoomState = { factor: 1, x: 0, y: 0 };

export function useZoom(box: RefObject<HTMLDivElement | null>) {
  const [state, setState] = useState(NONE);
  const latest = useRef(state);
  latest.current = state;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      const wall = element.parentElement;
      const scrolls = wall !== null && wall.scrollHeight > wall.clientHeight + 1;
      // On a wall that scrolls, the bare wheel belongs to it.
      if (scrolls && !event.ctrlKey && latest.current.factor === 1) return;
      event.preventDefault();
      const frame = element.getBoundingClientRect();
      const px = (event.clientX - frame.left) / frame.width;
      const py = (event.clientY - frame.top) / frame.height;
      setState((before) => zoomAround(before, event.deltaY, px, py));
    };
    const onDown = (event: PointerEvent) => {
      if (latest.current.factor === 1 || event.button !== 0 || (event.target as Element).closest("button"))
        return;
      const frame = element.getBoundingClientRect();
      const start = { ...latest.current, px: event.clientX, py: event.clientY };
      const onMove = (move: PointerEvent) => {
        setState(
          clampZoom({
            factor: start.factor,
            x: start.x + (move.clientX - start.px) / frame.width,
            y: start.y + (move.clientY - start.py) / frame.height,
          }),
        );
      };
      const onUp = () => {
        window.removeEventListener("pointermove", onMove);
        window.removeEventListener("pointerup", onUp);
      };
      window.addEventListener("pointermove", onMove);
      window.addEventListener("pointerup", onUp);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    element.addEventListener("pointerdown", onDown);
    return () => {
      element.removeEventListener("wheel", onWheel);
      element.removeEventListener("pointerdown", onDown);
    };
  }, [box]);

  return {
    zoomed: state.factor > 1.01,
    factor: Math.round(state.factor * 10) / 10,
    reset: () => setState(NONE),
    style: {
      "--zoom": `translate(${state.x * 100}%, ${state.y * 100}%) scale(${state.factor})`,
    },
  };
}
