/** The sound of one camera beside its pictures: decoded by WebCodecs, scheduled on the Web Audio clock. */
import { type Micros, SECOND } from "../../data/time";
import type { TrackInfo } from "../demux";
import type { Footage, Gop } from "./footage";
import { Media, type TimedSample } from "./media";

/** How far ahead sound is decoded and scheduled. */
const AHEAD: Micros = 1.5 * SECOND;
/** Sound off by more than this from the common clock begins anew. */
const DRIFT_MAX: Micros = 120_000;
/** Time for the first sound to be decoded. */
const LEAD_S = 0.08;

function configuration(track: TrackInfo): AudioDecoderConfig {
  return {
    codec: track.codec,
    sampleRate: track.sampleRate || 48_000,
    numberOfChannels: track.channels || 1,
    description: track.description as BufferSource | undefined,
  };
}

export class Sound {
  private readonly media = new Media();
  private context: AudioContext | undefined;
  private run: AbortController | undefined;
  /** Which instant is heard at which time of the audio clock. */
  private anchor: { at: Micros; context: number } | undefined;
  private wake: (() => void) | undefined;
  private at: Micros = 0;

  constructor(private readonly footage: Footage) {}

  /** Begins at `at`; only real time is audible. */
  play(at: Micros): void {
    this.stop();
    if (typeof AudioDecoder === "undefined" || typeof AudioContext === "undefined") return;
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    this.at = at;
    this.anchor = { at, context: context.currentTime + LEAD_S };
    this.run = new AbortController();
    // Without sound the pictures go on; a camera without a microphone ends here.
    this.fill(at, context, this.run.signal).catch(() => undefined);
  }

  /** Follows the common clock; called on every tick while playing. */
  follow(at: Micros): void {
    this.at = at;
    this.wake?.();
    if (!this.context || !this.anchor || this.context.state !== "running") return;
    const heard = this.anchor.at + (this.context.currentTime - this.anchor.context) * SECOND;
    if (Math.abs(heard - at) > DRIFT_MAX + LEAD_S * SECOND) this.play(at);
  }

  stop(): void {
    this.run?.abort();
    this.run = undefined;
    this.wake?.();
    void this.context?.close().catch(() => undefined);
    this.context = undefined;
    this.anchor = undefined;
  }

  private async fill(at: Micros, context: AudioContext, signal: AbortSignal): Promise<void> {
    let gop: Gop | undefined = await this.footage.from(at, signal);
    let decoder: { track: TrackInfo; decoder: AudioDecoder } | undefined;
    signal.addEventListener("abort", () => {
      if (decoder && decoder.decoder.state !== "closed") decoder.decoder.close();
    });
    while (gop && !signal.aborted) {
      const { track, samples } = await this.media.gop(gop, signal);
      if (!decoder || decoder.track.codec !== track.codec) {
        const config = configuration(track);
        if (!(await AudioDecoder.isConfigSupported(config)).supported || signal.aborted) return;
        decoder = { track, decoder: this.decoder(at, context, signal) };
        decoder.decoder.configure(config);
      }
      while (!signal.aborted && gop.start > this.at + AHEAD) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
      if (signal.aborted || decoder.decoder.state !== "configured") return;
      for (const sample of samples)
        if (sample.at + sample.length > at) decodeSample(decoder.decoder, sample, at);
      gop = await this.footage.next(gop, signal);
    }
  }

  private decoder(origin: Micros, context: AudioContext, signal: AbortSignal): AudioDecoder {
    return new AudioDecoder({
      output: (data) => {
        if (!signal.aborted && this.anchor) schedule(context, data, origin, this.anchor);
        data.close();
      },
      error: () => undefined,
    });
  }
}

function decodeSample(decoder: AudioDecoder, sample: TimedSample, origin: Micros): void {
  decoder.decode(
    new EncodedAudioChunk({
      type: "key",
      timestamp: sample.at - origin,
      duration: sample.length,
      data: sample.data as AllowSharedBufferSource,
    }),
  );
}

function schedule(
  context: AudioContext,
  data: AudioData,
  origin: Micros,
  anchor: { at: Micros; context: number },
): void {
  const buffer = context.createBuffer(data.numberOfChannels, data.numberOfFrames, data.sampleRate);
  for (let channel = 0; channel < data.numberOfChannels; channel += 1) {
    data.copyTo(buffer.getChannelData(channel), { planeIndex: channel, format: "f32-planar" });
  }
  const when = anchor.context + (origin + data.timestamp - anchor.at) / SECOND;
  const late = context.currentTime - when;
  if (late > buffer.duration) return;
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start(Math.max(when, context.currentTime), Math.max(0, late));
}
