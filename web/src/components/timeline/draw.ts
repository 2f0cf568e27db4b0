/** Paints the timeline on a canvas. Knows positions and colours, no state and no events. */

import type { Micros } from "../../data/time";
import type { GapSpan, Row } from "../../data/timeline";
import { chooseStep, type Span, ticks, union, type View, xOf } from "./scale";

export const RULER = 26;
export const SUMMARY = 16;
export const ROW = 20;

export interface Colours {
  background: string;
  line: string;
  lineStrong: string;
  text: string;
  dim: string;
  recording: string;
  summary: string;
  hatch: string;
  blue: string;
  selection: string;
}

export interface Scene {
  view: View;
  rows: Row[];
  now: Micros;
  playhead: Micros;
  hover: Micros | null;
  selection: Span | null;
  scroll: number;
  labels: {
    tick(at: Micros, kind: "millis" | "seconds" | "minutes" | "days" | "months", midnight: boolean): string;
    offset(at: Micros): Micros;
    playhead: string;
    now: string;
  };
}

export function readColours(element: Element): Colours {
  const style = getComputedStyle(element);
  const value = (name: string) => style.getPropertyValue(name).trim();
  return {
    background: value("--v-timeline"),
    line: value("--v-line"),
    lineStrong: value("--v-line-strong"),
    text: value("--v-text"),
    dim: value("--v-dim"),
    recording: value("--v-recording"),
    summary: value("--v-recording-summary"),
    hatch: value("--v-hatch"),
    blue: value("--v-blue"),
    selection: "rgb(76 141 255 / 22%)",
  };
}

let hatchPattern: { colour: string; pattern: CanvasPattern } | undefined;

function hatch(context: CanvasRenderingContext2D, colour: string): CanvasPattern | string {
  if (hatchPattern?.colour === colour) return hatchPattern.pattern;
  const tile = document.createElement("canvas");
  tile.width = 8;
  tile.height = 8;
  const brush = tile.getContext("2d");
  if (!brush) return colour;
  brush.strokeStyle = colour;
  brush.lineWidth = 1.5;
  brush.beginPath();
  for (const shift of [-8, 0, 8]) {
    brush.moveTo(shift, 8);
    brush.lineTo(shift + 8, 0);
  }
  brush.stroke();
  const pattern = context.createPattern(tile, "repeat");
  if (!pattern) return colour;
  hatchPattern = { colour, pattern };
  return pattern;
}

export function paint(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  scene: Scene,
  colours: Colours,
): void {
  const { view } = scene;
  context.fillStyle = colours.background;
  context.fillRect(0, 0, width, height);
  paintRuler(context, width, height, scene, colours);

  // The future is empty by nature and must not look like a gap.
  const nowX = xOf(view, scene.now, width);
  const all = union(scene.rows.flatMap((row) => row.recordings));
  paintSpans(context, all, view, width, RULER + 4, SUMMARY - 8, colours.summary);
  context.save();
  context.beginPath();
  context.rect(0, RULER + SUMMARY, width, height - RULER - SUMMARY);
  context.clip();
  scene.rows.forEach((row, index) => {
    const top = RULER + SUMMARY + index * ROW - scene.scroll;
    if (top > height || top + ROW < RULER) return;
    context.fillStyle = colours.line;
    context.fillRect(0, top + ROW - 0.5, width, 0.5);
    for (const gap of row.gaps) paintGap(context, gap, view, width, top, colours);
    paintSpans(context, row.recordings, view, width, top + 4, ROW - 8, colours.recording);
  });
  context.restore();

  if (scene.selection) {
    const left = xOf(view, scene.selection.start, width);
    const right = xOf(view, scene.selection.end, width);
    context.fillStyle = colours.selection;
    context.fillRect(left, 0, right - left, height);
    context.fillStyle = colours.blue;
    context.fillRect(left - 1, 0, 2, height);
    context.fillRect(right - 1, 0, 2, height);
  }
  if (scene.hover !== null) {
    context.fillStyle = colours.dim;
    context.fillRect(Math.round(xOf(view, scene.hover, width)), RULER, 1, height - RULER);
  }
  paintNow(context, nowX, width, height, scene.labels.now, colours);
  paintPlayhead(context, xOf(view, scene.playhead, width), width, height, scene.labels.playhead, colours);
}

function paintRuler(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  scene: Scene,
  colours: Colours,
): void {
  const { view, labels } = scene;
  const step = chooseStep(view, width);
  context.font = "11px 'Inter Variable', sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "left";
  for (const tick of ticks(view, step, labels.offset)) {
    const x = Math.round(xOf(view, tick.at, width));
    context.fillStyle = tick.midnight ? colours.lineStrong : colours.line;
    if (tick.major || tick.midnight) context.fillRect(x, 0, 1, height);
    else context.fillRect(x, RULER - 5, 1, 5);
    if (tick.major) {
      context.fillStyle = tick.midnight ? colours.text : colours.dim;
      const label = labels.tick(tick.at, step.label, tick.midnight);
      // Half a time reads as another one.
      if (x + 5 + context.measureText(label).width <= width) context.fillText(label, x + 5, RULER / 2);
    }
  }
  context.fillStyle = colours.line;
  context.fillRect(0, RULER - 0.5, width, 0.5);
}

/** Spans narrower than a pixel still show, and neighbours that share a pixel are painted once. */
function paintSpans(
  context: CanvasRenderingContext2D,
  spans: Span[],
  view: View,
  width: number,
  top: number,
  height: number,
  colour: string,
): void {
  context.fillStyle = colour;
  let painted = Number.NEGATIVE_INFINITY;
  for (const span of spans) {
    if (span.end < view.start || span.start > view.end) continue;
    const left = Math.max(-1, xOf(view, span.start, width));
    const right = Math.min(width + 1, Math.max(left + 1, xOf(view, span.end, width)));
    if (right <= painted) continue;
    context.fillRect(left, top, right - left, height);
    painted = right;
  }
}

const SILENT_CAUSES = new Set(["expired", "erased", "retired"]);

function paintGap(
  context: CanvasRenderingContext2D,
  gap: GapSpan,
  view: View,
  width: number,
  top: number,
  colours: Colours,
): void {
  if (gap.end < view.start || gap.start > view.end || SILENT_CAUSES.has(gap.cause)) return;
  const left = Math.max(-1, xOf(view, gap.start, width));
  const right = Math.min(width + 1, Math.max(left + 2, xOf(view, gap.end, width)));
  context.fillStyle = hatch(context, gap.cause === "disabled" ? colours.lineStrong : colours.hatch);
  context.fillRect(left, top + 4, right - left, ROW - 8);
}

function paintNow(
  context: CanvasRenderingContext2D,
  x: number,
  width: number,
  height: number,
  label: string,
  colours: Colours,
): void {
  if (x < 0 || x > width) return;
  context.strokeStyle = colours.dim;
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(Math.round(x) + 0.5, RULER);
  context.lineTo(Math.round(x) + 0.5, height);
  context.stroke();
  context.setLineDash([]);
  context.font = "10.5px 'Inter Variable', sans-serif";
  context.textAlign = "left";
  context.fillStyle = colours.dim;
  context.fillText(label, x + 5, RULER + SUMMARY / 2);
}

function paintPlayhead(
  context: CanvasRenderingContext2D,
  x: number,
  width: number,
  height: number,
  label: string,
  colours: Colours,
): void {
  if (x < -60 || x > width + 60) return;
  context.fillStyle = colours.blue;
  context.fillRect(Math.round(x) - 1, 0, 2, height);
  context.font = "600 11px 'Inter Variable', sans-serif";
  const wide = context.measureText(label).width + 14;
  const left = Math.min(width - wide - 2, Math.max(2, x - wide / 2));
  context.beginPath();
  context.roundRect(left, 3, wide, 19, 4);
  context.fill();
  context.fillStyle = "#06122b";
  context.textAlign = "center";
  context.fillText(label, left + wide / 2, 13);
}
