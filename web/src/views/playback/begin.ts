/** Where playback opens when nobody says when: inside the newest recording, with the timeline fitted to it. */
import { clampView, type Span, type View } from "../../components/timeline/scale";
import { MINUTE, type Micros, SECOND } from "../../data/time";

export interface Begin {
  at: Micros;
  view: View;
}

/** A little before the end, so that there is something to play. */
const BEFORE_END: Micros = 10 * SECOND;
const SHOWN_MIN: Micros = 2 * MINUTE;
const SHOWN_MAX: Micros = 30 * MINUTE;

/** `newest` is the newest unbroken stretch of each camera that has one. */
export function beginAt(newest: Span[], now: Micros): Begin {
  const last = newest.reduce<Span | undefined>(
    (best, span) => (best && best.end >= span.end ? best : span),
    undefined,
  );
  const end = last?.end ?? now;
  const at = Math.max(last?.start ?? 0, end - BEFORE_END);
  const length = Math.min(SHOWN_MAX, Math.max(SHOWN_MIN, last ? last.end - last.start : SHOWN_MAX));
  // A part of the view lies ahead, where a recording that goes on will appear.
  return { at, view: clampView({ start: end - length, end: end + length / 6 }, now) };
}

/** The view around an instant that the address names. */
export function viewAround(at: Micros, now: Micros): View {
  return clampView({ start: at - SHOWN_MAX, end: at + SHOWN_MAX / 3 }, now);
}
