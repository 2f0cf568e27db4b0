/** Fragmented MP4 over WebSocket into Media Source Extensions. */
import type { Id } from "../../data/api";
import { type LiveStream, liveSocketAddress } from "../../data/live";
import { serverClock } from "../../data/time";
import { acceptedCodecs, mediaSourceClass } from "../capability";
import type { CameraStateMessage, Link, LinkEvents } from "./link";

interface FormatMessage {
  type: "format";
  tracks: { kind: "video" | "audio"; mime: string; codec: string; transcoded?: boolean }[];
}
type Message = FormatMessage | { type: "refused"; code: string } | ({ type: "state" } & CameraStateMessage);

/** Track index and capture time before the MP4 bytes of a message. */
const HEADER_BYTES = 9;
/** Bytes that may wait for a `SourceBuffer`; above it the tile starts anew at the live edge. */
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** Behind the newest frame by this much, the picture runs a little faster … */
const BEHIND_S = 0.7;
/** … and by this much it jumps. */
const JUMP_S = 3;
const KEEP_S = 8;

/** One track's queue in front of its `SourceBuffer`. */
class Feed {
  private queue: Uint8Array[] = [];
  private bytes = 0;

  constructor(
    readonly buffer: SourceBuffer,
    private readonly onError: () => void,
  ) {
    buffer.addEventListener("updateend", () => this.pump());
    buffer.addEventListener("error", () => onError());
  }

  push(data: Uint8Array): boolean {
    this.queue.push(data);
    this.bytes += data.length;
    this.pump();
    return this.bytes <= QUEUE_BYTES_MAX;
  }

  trim(before: number): void {
    const { buffer } = this;
    if (buffer.updating || this.queue.length > 0 || buffer.buffered.length === 0) return;
    if (before - buffer.buffered.start(0) > KEEP_S) {
      try {
        buffer.remove(0, before - KEEP_S / 2);
      } catch {
        this.onError();
      }
    }
  }

  private pump(): void {
    if (this.buffer.updating) return;
    const data = this.queue.shift();
    if (!data) return;
    this.bytes -= data.length;
    try {
      this.buffer.appendBuffer(data as BufferSource);
    } catch {
      this.onError();
    }
  }
}

export function openMse(camera: Id, stream: LiveStream, video: HTMLVideoElement, events: LinkEvents): Link {
  const Source = mediaSourceClass();
  if (!Source) {
    queueMicrotask(() => events.onFailed(true));
    return { delayMs: () => null, setPaused: () => undefined, close: () => undefined };
  }
  const socket = new WebSocket(liveSocketAddress(camera, stream, acceptedCodecs(Source)));
  socket.binaryType = "arraybuffer";
  let closed = false;
  let source: MediaSource | undefined;
  let objectUrl = "";
  let feeds: (Feed | undefined)[] = [];
  /** What arrives while the source opens. */
  let early: ArrayBuffer[] = [];
  let newest: { capture: number; end: number } | undefined;

  const fail = (final = false) => {
    if (!closed) events.onFailed(final);
  };

  const detach = () => {
    if (objectUrl) URL.revokeObjectURL(objectUrl);
    objectUrl = "";
    feeds = [];
    source = undefined;
  };

  const setFormat = (format: FormatMessage) => {
    detach();
    early = [];
    newest = undefined;
    if (!format.tracks.some((track) => track.kind === "video")) return;
    const opening = new Source();
    source = opening;
    objectUrl = URL.createObjectURL(opening);
    opening.addEventListener("sourceopen", () => {
      if (closed || source !== opening) return;
      feeds = format.tracks.map((track) => {
        if (!Source.isTypeSupported(track.mime)) return undefined;
        return new Feed(opening.addSourceBuffer(track.mime), fail);
      });
      const playable = format.tracks.some((track, index) => track.kind === "video" && feeds[index]);
      if (!playable) return fail(true);
      events.onInfo({
        transcoded: format.tracks.some((track) => track.kind === "video" && track.transcoded),
        audio: format.tracks.some((track, index) => track.kind === "audio" && feeds[index]),
        codec: format.tracks.find((track) => track.kind === "video")?.codec,
      });
      for (const message of early.splice(0)) setMedia(message);
    });
    if ("disableRemotePlayback" in video) video.disableRemotePlayback = true;
    video.srcObject = null;
    video.src = objectUrl;
    void video.play().catch(() => undefined);
  };

  const setMedia = (message: ArrayBuffer) => {
    if (message.byteLength <= HEADER_BYTES) return;
    if (feeds.length === 0) {
      if (early.length < 64) early.push(message);
      return;
    }
    const view = new DataView(message);
    const feed = feeds[view.getUint8(0)];
    if (!feed) return;
    newest = { capture: Number(view.getBigUint64(1)), end: bufferedEnd(video) };
    if (!feed.push(new Uint8Array(message, HEADER_BYTES))) fail();
  };

  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return setMedia(data as ArrayBuffer);
    let message: Message;
    try {
      message = JSON.parse(data) as Message;
    } catch {
      return fail();
    }
    if (message.type === "format" && Array.isArray(message.tracks)) setFormat(message);
    else if (message.type === "state") events.onState(message);
    else if (message.type === "refused") events.onRefused(message.code);
  };
  socket.onclose = () => fail();
  video.onerror = () => {
    if (video.src === objectUrl && objectUrl) fail();
  };

  const timer = setInterval(() => {
    chaseEdge(video);
    for (const feed of feeds) feed?.trim(video.currentTime);
  }, 500);

  return {
    delayMs: () => {
      if (!newest || video.buffered.length === 0) return null;
      const behind = bufferedEnd(video) - video.currentTime;
      const age = (serverClock.now() - newest.capture) / 1000;
      return behind * 1000 + Math.max(0, Math.min(age, 60_000));
    },
    setPaused: (paused) => {
      if (socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({ type: paused ? "pause" : "resume" }));
      }
    },
    close: () => {
      closed = true;
      clearInterval(timer);
      socket.close();
      video.onerror = null;
      detach();
      video.removeAttribute("src");
      video.load();
    },
  };
}

function bufferedEnd(video: HTMLVideoElement): number {
  const { buffered } = video;
  return buffered.length > 0 ? buffered.end(buffered.length - 1) : 0;
}

/** Keeps the picture near the newest frame without a visible jump where that is possible. */
function chaseEdge(video: HTMLVideoElement): void {
  const { buffered } = video;
  if (buffered.length === 0) return;
  const last = buffered.length - 1;
  const end = buffered.end(last);
  const behind = end - video.currentTime;
  if (behind > JUMP_S || video.currentTime < buffered.start(last) - 0.05) {
    video.currentTime = Math.max(buffered.start(last), end - 0.2);
  }
  video.playbackRate = behind > BEHIND_S ? 1.1 : 1;
  if (video.paused) void video.play().catch(() => undefined);
}
