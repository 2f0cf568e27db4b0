/** Recorded media: timeline, playback plans, byte ranges and stills. */
import type { Id, PlanAnswer, TimelineAnswer } from "./api";
import { address, request, send } from "./client";
import { formatTime, type Micros } from "./time";

export function timeline_get(
  camera: Id,
  start: Micros,
  end: Micros,
  signal?: AbortSignal,
): Promise<TimelineAnswer> {
  return request("GET", `/cameras/${camera}/timeline`, {
    query: { start: formatTime(start), end: formatTime(end) },
    signal,
  });
}

export function plan_get(
  camera: Id,
  start: Micros,
  end: Micros,
  track: "video" | "audio",
  signal?: AbortSignal,
): Promise<PlanAnswer> {
  return request("GET", `/cameras/${camera}/playback`, {
    query: { start: formatTime(start), end: formatTime(end), track },
    signal,
  });
}

/** The bytes `offset .. offset + length` of a recorded file; `url` comes from a plan. */
export async function fileRange_get(
  url: string,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const response = await send("GET", url, {
    headers: { Range: `bytes=${offset}-${offset + length - 1}` },
    signal,
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A server that ignores ranges answers with the whole file.
  return response.status === 206 ? bytes : bytes.subarray(offset, offset + length);
}

/** A fragmented MP4 with the entry points of a range alone. */
export async function entryPoints_get(
  camera: Id,
  start: Micros,
  end: Micros,
  perSecondMax: number | undefined,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const response = await send("GET", `/cameras/${camera}/entry-points.mp4`, {
    query: { start: formatTime(start), end: formatTime(end), per_second_max: perSecondMax },
    signal,
  });
  return new Uint8Array(await response.arrayBuffer());
}

/** A still at an instant, or of now. */
export async function still_get(
  camera: Id,
  at: Micros | undefined,
  width: number | undefined,
  signal?: AbortSignal,
): Promise<Blob> {
  const response = await send("GET", `/cameras/${camera}/frame.jpg`, {
    query: { time: at === undefined ? undefined : formatTime(at), width },
    signal,
  });
  return response.blob();
}

export function stillAddress(camera: Id, at: Micros | undefined, width: number): string {
  return address(`/cameras/${camera}/frame.jpg`, {
    time: at === undefined ? undefined : formatTime(at),
    width,
  });
}
