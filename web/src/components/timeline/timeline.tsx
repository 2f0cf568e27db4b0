/** The timeline: a summary row and one row a camera, from a month to a second. */
import { useMantineColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { type KeyboardEvent, useCallback, useEffect, useRef, useState } from "react";
import { stillAddress } from "../../data/footage";
import { type Micros, serverClock } from "../../data/time";
import type { GapSpan, Row } from "../../data/timeline";
import { t, tCode, useLanguage } from "../../i18n";
import {
  clockText,
  dateFormat,
  dateText,
  dateTimeText,
  durationText,
  preciseText,
  zoneOffset,
} from "../../i18n/format";
import { type Colours, paint, ROW, RULER, readColours, SUMMARY } from "./draw";
import { clampView, panView, type Span, timeAt, type View, zoomView } from "./scale";
import styles from "./timeline.module.css";

export interface TimelineProps {
  rows: Row[];
  names: Map<string, string>;
  view: View;
  onView(view: View): void;
  /** The playhead without a render per frame. */
  playhead: { at(): Micros; subscribe(listener: () => void): () => void };
  selection: Span | null;
  onSelection(span: Span | null): void;
  onScrub(at: Micros): void;
  onSeek(at: Micros): void;
  zone: string | undefined;
}

interface Hover {
  x: number;
  at: Micros;
  row: Row | null;
  gap: GapSpan | null;
  recorded: boolean;
}

type Drag =
  | { kind: "pan"; x: number; view: View; moved: boolean }
  | { kind: "scrub" }
  | { kind: "select"; from: Micros }
  | { kind: "pinch"; span: number; view: View; anchor: Micros };

const ROWS_SHOWN_MAX = 6;
/** A press that moves less than this is a click. */
const CLICK_PX = 4;
/** Within this distance of the playhead, a press takes hold of it. */
const GRIP_PX = 8;
const STILL_REST_MS = 120;

export function Timeline(props: TimelineProps) {
  const { rows, names, view, playhead, selection, zone } = props;
  const { ref, width } = useElementSize();
  const canvas = useRef<HTMLCanvasElement>(null);
  const colours = useRef<Colours>(undefined);
  const drag = useRef<Drag>(undefined);
  const pointers = useRef(new Map<number, number>());
  const [hover, setHover] = useState<Hover | null>(null);
  const [scroll, setScroll] = useState(0);
  const { colorScheme } = useMantineColorScheme();
  useLanguage();
  const shownRows = Math.min(rows.length, ROWS_SHOWN_MAX);
  const height = RULER + SUMMARY + Math.max(1, shownRows) * ROW + 4;
  const scrollMax = Math.max(0, (rows.length - shownRows) * ROW);

  const latest = useRef(props);
  latest.current = props;

  const draw = useCallback(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || width === 0) return;
    colours.current ??= readColours(element);
    const ratio = window.devicePixelRatio || 1;
    if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
      element.width = Math.round(width * ratio);
      element.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const at = latest.current.playhead.at();
    paint(
      context,
      width,
      height,
      {
        view: latest.current.view,
        rows: latest.current.rows,
        now: serverClock.now(),
        playhead: at,
        hover: hover?.at ?? null,
        selection: latest.current.selection,
        scroll: Math.min(scroll, scrollMax),
        labels: {
          tick: (time, kind, midnight) => tickText(time, kind, midnight, zone),
          offset: (time) => zoneOffset(time, zone),
          playhead:
            latest.current.view.end - latest.current.view.start < 20_000_000
              ? preciseText(at, zone)
              : clockText(at, zone),
          now: t("timeline.now"),
        },
      },
      colours.current,
    );
    element.setAttribute("aria-valuenow", String(Math.round(at / 1_000_000)));
    element.setAttribute("aria-valuetext", dateTimeText(at, zone));
  }, [width, height, hover, scroll, scrollMax, zone]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme's colours are read anew after a change.
  useEffect(() => {
    colours.current = undefined;
    const frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [colorScheme]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: any of these changes the picture.
  useEffect(() => draw(), [draw, rows, view, selection]);

  useEffect(() => {
    let frame = 0;
    const soon = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(draw);
    };
    const stop = playhead.subscribe(soon);
    // The now-line moves by itself.
    const timer = setInterval(soon, 1_000);
    return () => {
      stop();
      clearInterval(timer);
      cancelAnimationFrame(frame);
    };
  }, [draw, playhead]);

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const { view: now, onView } = latest.current;
      const frame = element.getBoundingClientRect();
      const span = now.end - now.start;
      if (event.altKey) {
        setScroll((before) => Math.max(0, Math.min(scrollMax, before + event.deltaY)));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const delta = event.deltaX || event.deltaY;
        onView(clampView(panView(now, (delta / frame.width) * span), serverClock.now()));
      } else {
        const anchor = timeAt(now, event.clientX - frame.left, frame.width);
        const lines = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
        onView(clampView(zoomView(now, 2 ** (lines / 240), anchor), serverClock.now()));
      }
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [scrollMax]);

  const place = (event: React.PointerEvent) => {
    const frame = event.currentTarget.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  };

  const onPointerDown = (event: React.PointerEvent) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const { x, y } = place(event);
    pointers.current.set(event.pointerId, x);
    const at = timeAt(view, x, width);
    if (pointers.current.size === 2) {
      const [a = 0, b = 0] = [...pointers.current.values()];
      drag.current = { kind: "pinch", span: Math.abs(a - b), view, anchor: timeAt(view, (a + b) / 2, width) };
    } else if (event.shiftKey) {
      drag.current = { kind: "select", from: at };
      props.onSelection(null);
    } else {
      const grip = Math.abs(((playhead.at() - view.start) / (view.end - view.start)) * width - x) < GRIP_PX;
      if (grip || y < RULER) {
        drag.current = { kind: "scrub" };
        props.onScrub(at);
      } else drag.current = { kind: "pan", x, view, moved: false };
    }
    setHover(null);
  };

  const onPointerMove = (event: React.PointerEvent) => {
    const { x, y } = place(event);
    const at = timeAt(view, x, width);
    const active = drag.current;
    if (pointers.current.has(event.pointerId)) pointers.current.set(event.pointerId, x);
    if (!active) {
      if (event.pointerType === "mouse") setHover(hoverAt(x, y, at));
      return;
    }
    if (active.kind === "scrub") props.onScrub(at);
    else if (active.kind === "select") {
      props.onSelection({ start: Math.min(active.from, at), end: Math.max(active.from, at) });
    } else if (active.kind === "pinch") {
      const [a = 0, b = 0] = [...pointers.current.values()];
      const span = Math.max(12, Math.abs(a - b));
      props.onView(clampView(zoomView(active.view, active.span / span, active.anchor), serverClock.now()));
    } else {
      if (Math.abs(x - active.x) > CLICK_PX) active.moved = true;
      if (!active.moved) return;
      const by = ((active.x - x) / width) * (active.view.end - active.view.start);
      props.onView(clampView(panView(active.view, by), serverClock.now()));
    }
  };

  const onPointerUp = (event: React.PointerEvent) => {
    const { x } = place(event);
    const active = drag.current;
    pointers.current.delete(event.pointerId);
    drag.current = undefined;
    const at = timeAt(view, x, width);
    if (active?.kind === "pan" && !active.moved) props.onSeek(at);
    else if (active?.kind === "scrub") props.onSeek(at);
    else if (active?.kind === "select" && Math.abs(at - active.from) < (view.end - view.start) / 300) {
      props.onSelection(null);
    }
  };

  const hoverAt = (x: number, y: number, at: Micros): Hover => {
    const index = Math.floor((y - RULER - SUMMARY + Math.min(scroll, scrollMax)) / ROW);
    const row = y > RULER + SUMMARY ? (rows[index] ?? null) : null;
    const inside = (span: Span) => at >= span.start && at < span.end;
    const asked = row ? [row] : rows;
    const recorded = asked.some((item) => item.recordings.some(inside));
    const gap = row && !recorded ? (row.gaps.findLast(inside) ?? null) : null;
    return { x, at, row: row ?? rows.find((item) => item.recordings.some(inside)) ?? null, gap, recorded };
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const span = view.end - view.start;
    const now = serverClock.now();
    if (event.key === "PageUp") props.onView(clampView(panView(view, -span * 0.8), now));
    else if (event.key === "PageDown") props.onView(clampView(panView(view, span * 0.8), now));
    else if (event.key === "Home") props.onSeek(view.start);
    else if (event.key === "End") props.onSeek(Math.min(now, view.end));
    else return;
    event.preventDefault();
  };

  return (
    <div className={styles.timeline}>
      <div className={styles.names} style={{ paddingTop: RULER }} aria-hidden="true">
        <span style={{ height: SUMMARY }}>{t("timeline.all")}</span>
        <div className={styles.scrolled} style={{ height: shownRows * ROW }}>
          {rows.map((row) => (
            <span
              key={row.camera}
              style={{ height: ROW, transform: `translateY(${-Math.min(scroll, scrollMax)}px)` }}
              title={names.get(row.camera)}
            >
              {names.get(row.camera)}
            </span>
          ))}
        </div>
      </div>
      <div className={styles.surface} ref={ref} style={{ height }}>
        <canvas
          ref={canvas}
          className={styles.canvas}
          tabIndex={0}
          role="slider"
          aria-label={t("timeline.name")}
          aria-valuemin={Math.round(view.start / 1_000_000)}
          aria-valuemax={Math.round(view.end / 1_000_000)}
          aria-valuenow={0}
          data-recorded={rows.some((row) => row.recordings.length > 0) || undefined}
          onPointerDown={onPointerDown}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onPointerCancel={onPointerUp}
          onPointerLeave={() => !drag.current && setHover(null)}
          onKeyDown={onKeyDown}
        />
        {hover && (
          <HoverCard
            hover={hover}
            width={width}
            zone={zone}
            name={hover.row && names.get(hover.row.camera)}
          />
        )}
      </div>
    </div>
  );
}

function HoverCard({
  hover,
  width,
  zone,
  name,
}: {
  hover: Hover;
  width: number;
  zone: string | undefined;
  name: string | null | undefined;
}) {
  const [still, setStill] = useState<string | null>(null);
  const camera = hover.recorded ? hover.row?.camera : undefined;
  useEffect(() => {
    // Only a pointer that rests asks for a picture.
    const timer = setTimeout(
      () => setStill(camera ? stillAddress(camera, hover.at, 240) : null),
      STILL_REST_MS,
    );
    return () => clearTimeout(timer);
  }, [camera, hover.at]);
  const left = Math.min(Math.max(hover.x, 126), Math.max(126, width - 126));
  return (
    <div className={styles.hover} style={{ left }} role="presentation">
      {camera && (
        <div className={styles.still}>
          {still && <img src={still} alt="" onError={() => setStill(null)} draggable={false} />}
        </div>
      )}
      <div className={styles.hoverText}>
        <strong>{clockText(hover.at, zone)}</strong>
        <span>{dateText(hover.at, zone)}</span>
        {name && <span className={styles.hoverName}>{name}</span>}
        {hover.gap && (
          <span className={styles.cause}>
            {t("timeline.gap", {
              cause: tCode("gap", hover.gap.cause, { seconds: Number(hover.gap.parameters?.seconds ?? 0) }),
              duration: durationText(hover.gap.end - hover.gap.start),
            })}
          </span>
        )}
      </div>
    </div>
  );
}

function tickText(
  at: Micros,
  kind: "millis" | "seconds" | "minutes" | "days" | "months",
  midnight: boolean,
  timeZone: string | undefined,
): string {
  if (midnight || kind === "days" || kind === "months") {
    return dateFormat({ weekday: "short", day: "numeric", month: "short", timeZone }).format(at / 1000);
  }
  if (kind === "millis") return preciseText(at, timeZone);
  if (kind === "seconds") return clockText(at, timeZone);
  return dateFormat({ hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone }).format(at / 1000);
}
