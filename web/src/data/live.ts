/** Live media: WHEP sessions and the address of the fMP4 WebSocket. */
import type { Id, LiveChoice } from "./api";
import { send, socketAddress } from "./client";

export type LiveStream = LiveChoice;

export interface WhepSession {
  answer: string;
  location: string | null;
  transcoded: boolean;
}

export async function whep_create(
  camera: Id,
  stream: LiveStream,
  offer: string,
  signal?: AbortSignal,
): Promise<WhepSession> {
  const response = await send("POST", `/cameras/${camera}/live/whep`, {
    query: { stream },
    headers: { "Content-Type": "application/sdp", Accept: "application/sdp" },
    body: offer,
    signal,
  });
  return {
    answer: await response.text(),
    location: response.headers.get("location"),
    transcoded: response.headers.get("varde-transcoded") === "true",
  };
}

export async function whep_delete(location: string): Promise<void> {
  const path = new URL(location, window.location.href).pathname;
  await send("DELETE", path, { keepalive: true, anonymous: true }).catch(() => undefined);
}

export function liveSocketAddress(camera: Id, stream: LiveStream, accept: string[]): string {
  return socketAddress(`/cameras/${camera}/live/ws`, { stream, accept: accept.join(",") });
}
