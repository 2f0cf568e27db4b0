/** Timelines of several cameras over a view, read in aligned windows and cached. */
import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Span, View } from "../components/timeline/scale";
import { union, windowsOf } from "../components/timeline/scale";
import type { Id, Parameters, TimelineAnswer } from "./api";
import { timeline_get } from "./footage";
import { type Micros, parseTime, SECOND, serverClock } from "./time";

export interface GapSpan extends Span {
  cause: string;
  parameters?: Parameters | null;
  open: boolean;
}

export interface Row {
  camera: Id;
  recordings: Span[];
  gaps: GapSpan[];
  loading: boolean;
  failed: boolean;
}

const PAGES_MAX = 20;

async function timeline_read(
  camera: Id,
  window: Span,
  signal: AbortSignal,
): Promise<{ recordings: Span[]; gaps: GapSpan[] }> {
  const recordings: Span[] = [];
  const gaps: GapSpan[] = [];
  let start = window.start;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await timeline_get(camera, start, window.end, signal);
    readAnswer(answer, recordings, gaps);
    const next = parseTime(answer.next);
    if (next === null || next <= start) break;
    start = next;
  }
  return { recordings, gaps };
}

export function readAnswer(answer: TimelineAnswer, recordings: Span[], gaps: GapSpan[]): void {
  for (const item of answer.recordings) {
    const start = parseTime(item.start);
    const end = parseTime(item.end);
    if (start !== null && end !== null) recordings.push({ start, end });
  }
  for (const item of answer.gaps) {
    const start = parseTime(item.start);
    if (start === null) continue;
    const end = parseTime(item.end);
    gaps.push({
      start,
      end: end ?? serverClock.now(),
      cause: item.cause,
      parameters: item.parameters,
      open: end === null,
    });
  }
}

export function useTimelines(cameras: Id[], view: View): Row[] {
  const windows = windowsOf(view);
  const now = serverClock.now();
  const queries = cameras.flatMap((camera) => windows.map((window) => ({ camera, window })));
  const results = useQueries({
    queries: queries.map(({ camera, window }) => {
      const live = window.end > now - 10_000_000;
      return {
        queryKey: ["timeline", camera, window.start, window.end],
        queryFn: ({ signal }: { signal: AbortSignal }) => timeline_read(camera, window, signal),
        enabled: window.start < now,
        staleTime: live ? 2_000 : 300_000,
        refetchInterval: live ? 3_000 : (false as const),
        gcTime: 120_000,
        placeholderData: keepPreviousData,
      };
    }),
  });
  const stamp = results.map((result) => `${result.dataUpdatedAt}${result.status}`).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the stamp stands for the results.
  return useMemo(
    () =>
      cameras.map((camera) => {
        const own = results.filter((_, index) => queries[index]?.camera === camera);
        return {
          camera,
          recordings: own.flatMap((result) => result.data?.recordings ?? []),
          gaps: own.flatMap((result) => result.data?.gaps ?? []),
          loading: own.some((result) => result.isLoading),
          failed: own.some((result) => result.isError),
        };
      }),
    [cameras.join(), stamp],
  );
}

const REACHES: Micros[] = [3_600_000_000, 86_400_000_000, 40 * 86_400_000_000];

/** Looks ever further for the next footage of a camera; the answer is an instant that is recorded. */
export async function footage_find(
  camera: Id,
  at: Micros,
  forward: boolean,
  signal: AbortSignal,
): Promise<Micros | null> {
  const now = serverClock.now();
  for (const reach of REACHES) {
    const window = forward ? { start: at, end: Math.min(now, at + reach) } : { start: at - reach, end: at };
    if (window.end <= window.start) return null;
    const { recordings } = await timeline_read(camera, window, signal);
    if (forward) {
      const next = recordings.filter((span) => span.end > at).sort((a, b) => a.start - b.start)[0];
      if (next) return Math.max(next.start, at);
      if (window.end >= now) return null;
    } else {
      const last = recordings.filter((span) => span.start < at).sort((a, b) => b.end - a.end)[0];
      if (last) return Math.min(last.end, at) - 1_000;
    }
  }
  return null;
}

/** The newest unbroken stretch of recordings of a camera; `null` where nothing is recorded. */
export async function footage_newest(camera: Id, signal: AbortSignal): Promise<Span | null> {
  const now = serverClock.now();
  for (const reach of REACHES) {
    const { recordings } = await timeline_read(camera, { start: now - reach, end: now }, signal);
    // Files that follow one another within a second are one stretch.
    const padded = recordings.map((span) => ({ start: span.start, end: span.end + SECOND }));
    const last = union(padded).at(-1);
    if (last) return { start: last.start, end: last.end - SECOND };
  }
  return null;
}
