/**
 * Samples in, pictures out: WebCodecs for compressed video, the browser's image decoder for motion JPEG.
 */
import type { Micros } from "../../data/time";
import { cropOffset, type Offset } from "../crop";
import type { TrackInfo } from "../demux";
import type { TimedSample } from "./media";
import type { Picture } from "./pictures";

export type Drawable = VideoFrame | ImageBitmap;

/** Samples that may wait inside the decoder. */
const QUEUE_MAX = 12;

export class Undecodable extends Error {
  constructor(readonly codec: string) {
    super(`this browser cannot decode ${codec}`);
    this.name = "Undecodable";
  }
}

const isJpeg = (track: TrackInfo) => track.entry === "jpeg" || track.entry === "mjpg";

export async function canDecode(track: TrackInfo): Promise<boolean> {
  if (isJpeg(track)) return typeof createImageBitmap === "function";
  if (typeof VideoDecoder === "undefined") return false;
  try {
    return (await VideoDecoder.isConfigSupported(configuration(track))).supported === true;
  } catch {
    return false;
  }
}

function configuration(track: TrackInfo): VideoDecoderConfig {
  return {
    codec: track.codec,
    description: track.description as BufferSource | undefined,
    codedWidth: track.width || undefined,
    codedHeight: track.height || undefined,
    optimizeForLatency: true,
  };
}

/**
 * One decoder whose output goes to `onPicture`. Times are given to WebCodecs relative to `origin`, so that
 * they stay small.
 */
export class Decoder {
  private decoder: VideoDecoder | undefined;
  private configured = "";
  private durations = new Map<number, Micros>();
  private failed: Error | undefined;
  private offset: Offset = { x: 0, y: 0 };
  private wake: (() => void) | undefined;

  constructor(
    private readonly origin: Micros,
    private readonly onPicture: (picture: Picture<Drawable>) => void,
  ) {}

  /** Prepares for a track; throws {@link Undecodable}. */
  async configure(track: TrackInfo): Promise<void> {
    const key = `${track.codec} ${track.width}x${track.height} ${track.description?.join(",") ?? ""}`;
    if (key === this.configured && (isJpeg(track) || this.decoder?.state === "configured")) return;
    if (!(await canDecode(track))) throw new Undecodable(track.codec);
    if (!isJpeg(track)) {
      if (this.decoder?.state === "configured") await this.decoder.flush().catch(() => undefined);
      this.close();
      this.failed = undefined;
      this.offset =
        track.entry === "avc1" || track.entry === "avc3" ? cropOffset(track.description) : { x: 0, y: 0 };
      this.decoder = new VideoDecoder({
        output: (frame) => this.onFrame(frame),
        error: (error) => {
          this.failed = error;
          this.wake?.();
        },
      });
      this.decoder.ondequeue = () => this.wake?.();
      this.decoder.configure(configuration(track));
    } else {
      this.close();
    }
    this.configured = key;
  }

  /** Takes a sample; waits while the decoder is full. */
  async decode(sample: TimedSample): Promise<void> {
    if (!this.decoder) {
      const image = await createImageBitmap(new Blob([sample.data as BlobPart], { type: "image/jpeg" }));
      this.onPicture({ at: sample.at, duration: sample.length, image });
      return;
    }
    while (this.decoder.state === "configured" && this.decoder.decodeQueueSize >= QUEUE_MAX && !this.failed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    this.check();
    this.durations.set(sample.at - this.origin, sample.length);
    this.decoder.decode(
      new EncodedVideoChunk({
        type: sample.key ? "key" : "delta",
        timestamp: sample.at - this.origin,
        duration: sample.length,
        data: sample.data as AllowSharedBufferSource,
      }),
    );
  }

  /** Brings out everything that was put in; the next sample must be a key frame. */
  async flush(): Promise<void> {
    if (this.decoder?.state === "configured") await this.decoder.flush();
    this.check();
    this.durations.clear();
  }

  close(): void {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = undefined;
    this.configured = "";
    this.durations.clear();
    this.wake?.();
  }

  private check(): void {
    if (this.failed) throw this.failed;
    if (this.decoder?.state !== "configured") throw new DOMException("decoder closed", "AbortError");
  }

  private onFrame(frame: VideoFrame): void {
    const duration = this.durations.get(frame.timestamp) ?? frame.duration ?? 40_000;
    this.durations.delete(frame.timestamp);
    this.onPicture({ at: this.origin + frame.timestamp, duration, image: this.cropped(frame) });
  }

  /** Moves the visible part to where the stream says it is, if the decoder has not and the rows are there. */
  private cropped(frame: VideoFrame): VideoFrame {
    const { x, y } = this.offset;
    const seen = frame.visibleRect;
    if ((x === 0 && y === 0) || !seen || seen.x !== 0 || seen.y !== 0) return frame;
    if (x + seen.width > frame.codedWidth || y + seen.height > frame.codedHeight) return frame;
    try {
      const moved = new VideoFrame(frame, { visibleRect: { x, y, width: seen.width, height: seen.height } });
      frame.close();
      return moved;
    } catch {
      return frame;
    }
  }
}
