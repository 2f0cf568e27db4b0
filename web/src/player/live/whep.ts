/** WebRTC by WHEP: one offer, one answer, no trickle. */
import type { Id } from "../../data/api";
import { ApiError } from "../../data/client";
import { type LiveStream, whep_create, whep_delete } from "../../data/live";
import type { Link, LinkEvents } from "./link";

/** Candidates of one machine come at once; waiting longer only delays the picture. */
const GATHER_MS = 400;
/** A connection may be "disconnected" for a moment and recover by itself. */
const DISCONNECTED_MS = 3_000;
/** Answers after which WebRTC will not work for this camera: no such codec, or not offered at all. */
const FINAL = new Set([404, 405, 406, 415, 422, 501]);

export function openWhep(camera: Id, stream: LiveStream, video: HTMLVideoElement, events: LinkEvents): Link {
  const abort = new AbortController();
  const peer = new RTCPeerConnection();
  let location: string | null = null;
  let delay: number | null = null;
  let lost: ReturnType<typeof setTimeout> | undefined;
  const media = new MediaStream();

  const fail = (final = false) => {
    if (!abort.signal.aborted) events.onFailed(final);
  };
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.ontrack = ({ track }) => {
    media.addTrack(track);
    if (track.kind === "audio") {
      track.onunmute = () => events.onInfo({ audio: true });
    } else if (video.srcObject !== media) {
      video.srcObject = media;
      void video.play().catch(() => undefined);
    }
  };
  peer.onconnectionstatechange = () => {
    clearTimeout(lost);
    if (peer.connectionState === "failed" || peer.connectionState === "closed") fail();
    else if (peer.connectionState === "disconnected") lost = setTimeout(fail, DISCONNECTED_MS);
  };

  const begin = async () => {
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const offer = peer.localDescription?.sdp ?? "";
    const session = await whep_create(camera, stream, offer, abort.signal);
    location = session.location;
    if (abort.signal.aborted) {
      release();
      return;
    }
    events.onInfo({ transcoded: session.transcoded });
    await peer.setRemoteDescription({ type: "answer", sdp: session.answer });
  };
  begin().catch((error: unknown) => {
    if (error instanceof ApiError && !abort.signal.aborted) events.onRefused(error.code);
    fail(error instanceof ApiError && FINAL.has(error.status));
  });

  const timer = setInterval(async () => {
    const report = await peer.getStats().catch(() => undefined);
    if (report) delay = delayFrom(report) ?? delay;
  }, 2_000);

  const release = () => {
    if (location) void whep_delete(location);
    location = null;
  };
  return {
    delayMs: () => delay,
    setPaused: () => undefined,
    close: () => {
      abort.abort();
      clearTimeout(lost);
      clearInterval(timer);
      peer.close();
      if (video.srcObject === media) video.srcObject = null;
      release();
    },
  };
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Time in the jitter buffer plus half a round trip; the camera's own encoding time is not in it. */
function delayFrom(report: RTCStatsReport): number | null {
  let buffered: number | null = null;
  let trip = 0;
  for (const stats of report.values()) {
    if (stats.type === "inbound-rtp" && stats.kind === "video" && stats.jitterBufferEmittedCount > 0) {
      buffered = (stats.jitterBufferDelay / stats.jitterBufferEmittedCount) * 1000;
    } else if (stats.type === "candidate-pair" && stats.nominated && stats.currentRoundTripTime) {
      trip = stats.currentRoundTripTime * 500;
    }
  }
  return buffered === null ? null : buffered + trip;
}
