/** The arithmetic of the timeline: instants to pixels, zoom and pan, and where the ticks go. Pure. */
import { DAY, HOUR, MINUTE, type Micros, SECOND } from "../../data/time";

export interface View {
  start: Micros;
  end: Micros;
}

/** From a second … */
export const SPAN_MIN: Micros = SECOND;
/** … to a month and a bit. */
export const SPAN_MAX: Micros = 40 * DAY;

export function xOf(view: View, at: Micros, width: number): number {
  return ((at - view.start) / (view.end - view.start)) * width;
}

export function timeAt(view: View, x: number, width: number): Micros {
  return view.start + (x / Math.max(1, width)) * (view.end - view.start);
}

/** Zooms by `factor` (below 1 is closer) so that the instant under the pointer stays there. */
export function zoomView(view: View, factor: number, anchor: Micros): View {
  const span = view.end - view.start;
  const next = Math.min(SPAN_MAX, Math.max(SPAN_MIN, span * factor));
  const start = anchor - ((anchor - view.start) / span) * next;
  return { start, end: start + next };
}

export function panView(view: View, by: Micros): View {
  return { start: view.start + by, end: view.end + by };
}

/** Keeps the view from leaving the present for an empty future. */
export function clampView(view: View, now: Micros): View {
  const span = view.end - view.start;
  const latest = now + span * 0.5;
  return view.end > latest ? { start: latest - span, end: latest } : view;
}

/** Moves a view as little as is needed to show `at`, with some room ahead of it. */
export function follow(view: View, at: Micros): View {
  const span = view.end - view.start;
  if (at >= view.start && at <= view.end - span * 0.02) return view;
  const start = at > view.end - span * 0.02 ? at - span * 0.25 : at - span * 0.75;
  return { start, end: start + span };
}

export interface Step {
  minor: Micros;
  major: Micros;
  /** How labels of this step are written. */
  label: "millis" | "seconds" | "minutes" | "days" | "months";
}

const STEPS: Step[] = [
  { minor: 20_000, major: 100_000, label: "millis" },
  { minor: 100_000, major: 500_000, label: "millis" },
  { minor: 200_000, major: SECOND, label: "seconds" },
  { minor: SECOND, major: 5 * SECOND, label: "seconds" },
  { minor: 2 * SECOND, major: 10 * SECOND, label: "seconds" },
  { minor: 5 * SECOND, major: 30 * SECOND, label: "seconds" },
  { minor: 10 * SECOND, major: MINUTE, label: "minutes" },
  { minor: MINUTE, major: 5 * MINUTE, label: "minutes" },
  { minor: 2 * MINUTE, major: 10 * MINUTE, label: "minutes" },
  { minor: 5 * MINUTE, major: 30 * MINUTE, label: "minutes" },
  { minor: 10 * MINUTE, major: HOUR, label: "minutes" },
  { minor: 30 * MINUTE, major: 3 * HOUR, label: "minutes" },
  { minor: HOUR, major: 6 * HOUR, label: "minutes" },
  { minor: 3 * HOUR, major: 12 * HOUR, label: "minutes" },
  { minor: 6 * HOUR, major: DAY, label: "days" },
  { minor: DAY, major: 2 * DAY, label: "days" },
  { minor: DAY, major: 7 * DAY, label: "days" },
];

/** The finest step whose labels have at least `labelPx` each. */
export function chooseStep(view: View, width: number, labelPx = 84): Step {
  const perPixel = (view.end - view.start) / Math.max(1, width);
  return STEPS.find((step) => step.major / perPixel >= labelPx) ?? STEPS[STEPS.length - 1]!;
}

export interface Tick {
  at: Micros;
  major: boolean;
  /** The beginning of a day in the shown zone. */
  midnight: boolean;
}

const TICKS_MAX = 2_000;

/** Ticks on round local times; `offset` gives the zone's distance from UTC at an instant. */
export function ticks(view: View, step: Step, offset: (at: Micros) => Micros): Tick[] {
  const list: Tick[] = [];
  let shift = offset(view.start);
  let local = Math.floor((view.start + shift) / step.minor) * step.minor;
  while (list.length < TICKS_MAX) {
    // Across a change to or from summer time, the local grid moves.
    shift = offset(local - shift);
    const at = local - shift;
    if (at > view.end) break;
    if (at >= view.start) {
      list.push({ at, major: local % step.major === 0, midnight: local % DAY === 0 });
    }
    local += step.minor;
  }
  return list;
}

export interface Span {
  start: Micros;
  end: Micros;
}

/** Merges spans that touch; the summary row is the union of all rows. */
export function union(spans: Span[]): Span[] {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  const merged: Span[] = [];
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else merged.push({ ...span });
  }
  return merged;
}

/**
 * The aligned windows that cover a view. Windows rather than the view itself are asked for, so that panning
 * and zooming reuse answers.
 */
export function windowsOf(view: View): Span[] {
  const span = view.end - view.start;
  const size = 2 ** Math.ceil(Math.log2(Math.max(span, 4 * MINUTE) / SECOND)) * SECOND;
  const windows: Span[] = [];
  for (let at = Math.floor(view.start / size) * size; at < view.end; at += size) {
    windows.push({ start: at, end: at + size });
  }
  return windows;
}

/** The next edge of what is recorded after (or before) an instant, for the keys that jump there. */
export function nextEdge(spans: Span[], at: Micros, forward: boolean): Micros | null {
  const edges = spans.map((span) => span.start).sort((a, b) => a - b);
  const margin = SECOND / 2;
  return (
    (forward ? edges.find((edge) => edge > at + margin) : edges.findLast((edge) => edge < at - margin)) ??
    null
  );
}
