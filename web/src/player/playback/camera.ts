/**
 * One camera of a playback: fills a bounded buffer of pictures around the common clock and draws the one that
 * belongs to it. Every run (seek, play, scrub) is a generation; starting the next one aborts the last.
 */
import type { Id } from "../../data/api";
import { OfflineError } from "../../data/client";
import { still_get } from "../../data/footage";
import type { Micros } from "../../data/time";
import { EVERY_FRAME_SPEED_MAX } from "./clock";
import { Decoder, type Drawable, Undecodable } from "./decoder";
import type { Footage, Gop } from "./footage";
import { Media, type TimedSample } from "./media";
import { type Picture, Pictures } from "./pictures";
import { Thumbnails } from "./thumbnails";

export type Status =
  | { kind: "loading" }
  | { kind: "picture" }
  | { kind: "gap" }
  | { kind: "stills"; codec: string }
  | { kind: "error"; offline: boolean };

/** Decoded frames kept ahead of the clock when playing forward. */
const AHEAD = 14;
/** Key pictures kept ahead at high speed. */
const AHEAD_FAST = 24;
/** Memory for the pictures of one reverse slab, in bytes of RGBA, shared by all cameras. */
const SLAB_BYTES_TOTAL = 256 * 1024 * 1024;
/** A hole this short between pictures is jitter and no gap. */
const JITTER: Micros = 300_000;
const RETRY_MS = 1_000;
const STILLS_MS = 400;

export class CameraPlayback {
  readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D | null;
  private readonly pictures = new Pictures<Drawable>();
  private readonly media = new Media();
  private readonly thumbnails: Thumbnails;
  private decoder: Decoder | undefined;
  private generation = new AbortController();
  private at: Micros = 0;
  private speed = 1;
  private wake: (() => void) | undefined;
  private drawn: Micros | null = null;
  private running: "none" | "seek" | "play" | "scrub" = "none";
  private listeners = new Set<() => void>();
  private current: Status = { kind: "loading" };
  /** Once a codec proved undecodable, this camera shows stills. */
  private stills: string | undefined;
  private boxWidth = 640;

  /** The clock may go this far: everything before it is a picture or known to be a gap. */
  covered: Micros = 0;
  /** Pictures drawn, for the tests and the bench. */
  drawnCount = 0;
  /** How many cameras play together; divides the memory for reverse. */
  share = 1;
  /** Fulfilled once the last seek shows its picture, or gave way to the next run. */
  settled: Promise<void> = Promise.resolve();

  constructor(
    readonly camera: Id,
    readonly footage: Footage,
    private readonly now: () => Micros,
  ) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "playback-picture";
    this.canvas.setAttribute("aria-hidden", "true");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.thumbnails = new Thumbnails(camera, (image) => {
      if (this.running === "scrub") this.paint(image, image.width, image.height);
    });
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  status = (): Status => this.current;

  /** The time of the picture on the canvas. */
  shownAt(): Micros | null {
    return this.drawn;
  }

  setBox(widthPx: number): void {
    this.boxWidth = Math.max(160, Math.min(3840, Math.round(widthPx)));
  }

  dispose(): void {
    this.begin("none");
    this.generation.abort();
    this.thumbnails.dispose();
  }

  /** Shows exactly the picture at `at` and stays there. */
  seek(at: Micros): Promise<void> {
    const signal = this.begin("seek");
    this.at = at;
    this.covered = at;
    this.settled = this.guard(signal, () => this.seekExact(at, signal));
    return this.settled;
  }

  /** Fills the buffer from `at` in the direction and manner of `speed`. */
  play(at: Micros, speed: number): void {
    const signal = this.begin("play");
    this.at = at;
    this.speed = speed;
    this.covered = at;
    void this.guard(signal, () => {
      if (this.stills) return this.playStills(signal);
      if (Math.abs(speed) > EVERY_FRAME_SPEED_MAX) return this.playEntries(at, signal);
      return speed > 0 ? this.playForward(at, signal) : this.playBackward(at, signal);
    });
  }

  /** Shows a thumbnail near `at`, at once where one is cached. */
  scrub(at: Micros): void {
    if (this.running !== "scrub") this.begin("scrub");
    this.at = at;
    this.drawn = null;
    delete this.canvas.dataset.at;
    this.thumbnails.want(at, Math.min(640, this.boxWidth));
  }

  /** The instant of the neighbouring frame, or `null` at the end of what is recorded. */
  async neighbour(at: Micros, forward: boolean): Promise<Micros | null> {
    const signal = new AbortController().signal;
    const times = async (gop: Gop) =>
      (await this.media.gop(gop, signal)).samples.map((sample) => sample.at).sort((a, b) => a - b);
    const gop = forward ? await this.footage.from(at, signal) : await this.footage.until(at, signal);
    if (!gop) return null;
    const here = await times(gop);
    const found = forward ? here.find((time) => time > at) : here.findLast((time) => time < at);
    if (found !== undefined) return found;
    const other = forward ? await this.footage.next(gop, signal) : await this.footage.previous(gop, signal);
    if (!other) return null;
    const there = await times(other);
    return (forward ? there.find((time) => time > at) : there.findLast((time) => time < at)) ?? null;
  }

  /** Draws what belongs to `at`; the clock calls it on every animation frame while playing. */
  show(at: Micros): void {
    this.at = at;
    const forward = this.speed >= 0;
    this.pictures.trim(at, forward);
    this.wake?.();
    if (this.running !== "play" || this.stills) return;
    const picture = this.pictures.find(at);
    if (picture && at < picture.at + picture.duration + JITTER) {
      this.draw(picture);
      this.setStatus({ kind: "picture" });
    } else if (this.inGap(at)) {
      this.blank();
      this.setStatus({ kind: "gap" });
    }
  }

  /** Whether nothing is recorded at `at`, as far as this run knows. */
  inGap(at: Micros): boolean {
    if (this.stills) return false;
    const known = this.speed >= 0 ? this.covered > at + JITTER : this.covered < at - JITTER;
    const picture = this.pictures.find(at);
    return known && !(picture && at < picture.at + picture.duration + JITTER);
  }

  private begin(running: typeof this.running): AbortSignal {
    this.generation.abort();
    this.generation = new AbortController();
    this.running = running;
    this.pictures.clear();
    this.decoder?.close();
    this.decoder = undefined;
    this.thumbnails.cancel();
    this.wake?.();
    return this.generation.signal;
  }

  /** Runs one generation; errors become states, and a network error is tried again. */
  private async guard(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        return await run();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Undecodable) {
          this.stills = error.codec;
          if (this.running === "play") return this.guard(signal, () => this.playStills(signal));
          if (this.running === "seek") return this.guard(signal, () => this.seekExact(this.at, signal));
          return;
        }
        if (!(error instanceof DOMException && error.name === "AbortError")) {
          this.setStatus({ kind: "error", offline: error instanceof OfflineError });
          // The other cameras must not wait for this one.
          this.covered = this.speed >= 0 ? Number.POSITIVE_INFINITY : 0;
        }
        await sleep(RETRY_MS, signal);
      }
    }
  }

  private newDecoder(
    origin: Micros,
    signal: AbortSignal,
    onPicture: (picture: Picture<Drawable>) => void,
  ): Decoder {
    // A run that was superseded while it waited must not close the decoder of the one that followed.
    signal.throwIfAborted();
    this.decoder?.close();
    this.decoder = new Decoder(origin, (picture) => {
      if (signal.aborted) picture.image.close();
      else onPicture(picture);
    });
    return this.decoder;
  }

  private async seekExact(at: Micros, signal: AbortSignal): Promise<void> {
    if (this.stills) return this.drawStill(at, signal);
    const slow = setTimeout(() => !signal.aborted && this.setStatus({ kind: "loading" }), 200);
    try {
      let gop = await this.footage.at(at, signal);
      signal.throwIfAborted();
      if (!gop) {
        this.blank();
        this.setStatus({ kind: "gap" });
        return;
      }
      let { track, samples } = await this.media.gop(gop, signal);
      let target = lastAt(samples, at);
      if (target.at > at) {
        // Frames that are shown later than decoded may outlast their group: the picture is the one before's.
        const before = await this.footage.previous(gop, signal);
        if (before && contiguous(before, gop)) {
          gop = before;
          ({ track, samples } = await this.media.gop(gop, signal));
          target = lastAt(samples, at);
        }
      }
      const decoder = this.newDecoder(gop.start, signal, (picture) => {
        this.pictures.push(picture);
        this.pictures.trim(target.at, true);
      });
      await decoder.configure(track);
      for (const sample of samples.slice(0, samples.indexOf(target) + 1)) await decoder.decode(sample);
      await decoder.flush();
      if (signal.aborted) return;
      const picture = this.pictures.find(target.at);
      if (picture) this.draw(picture);
      this.setStatus({ kind: "picture" });
    } finally {
      clearTimeout(slow);
    }
  }

  private async playForward(at: Micros, signal: AbortSignal): Promise<void> {
    const decoder = this.newDecoder(at, signal, (picture) => {
      this.pictures.push(picture);
      this.pictures.trim(this.at, true);
      this.covered = Math.max(this.covered, picture.at + picture.duration);
    });
    let gop = await this.footage.from(this.at, signal);
    let decoded: { file: string; time: number } | undefined;
    // What was handed to the decoder, which may be well ahead of what came out of it.
    let submitted = at;
    while (!signal.aborted) {
      if (!gop) {
        await this.waitAtEdge(signal);
        gop = await this.footage.from(this.at, signal);
        continue;
      }
      if (gop.start > submitted + JITTER) this.covered = gop.start;
      submitted = gop.end;
      const { track, samples } = await this.media.gop(gop, signal);
      // Fetch the next group while this one is decoded.
      const following = this.footage.next(gop, signal);
      following.then((next) => next && this.media.gop(next, signal)).catch(() => undefined);
      await decoder.configure(track);
      for (const sample of samples) {
        // A group at the live edge is read again when it has grown.
        if (decoded?.file === gop.file.url && sample.decodeTime <= decoded.time) continue;
        await this.room(AHEAD, signal);
        await decoder.decode(sample);
        decoded = { file: gop.file.url, time: sample.decodeTime };
      }
      let next = await following;
      const live = gop.end > this.now() - 15_000_000;
      if (!live && (!next || next.start > gop.end + JITTER)) await decoder.flush();
      while (!next && !signal.aborted) {
        if (!live) this.covered = Number.POSITIVE_INFINITY;
        await sleep(500, signal);
        next = await this.footage.next(gop, signal);
      }
      gop = next;
    }
  }

  private async waitAtEdge(signal: AbortSignal): Promise<void> {
    this.covered = Number.POSITIVE_INFINITY;
    await sleep(RETRY_MS, signal);
  }

  private async playBackward(at: Micros, signal: AbortSignal): Promise<void> {
    let gop = await this.footage.until(at, signal);
    if (gop && gop.end < at - JITTER) this.covered = gop.end;
    while (gop && !signal.aborted) {
      const { track, samples } = await this.media.gop(gop, signal);
      const before = this.footage.previous(gop, signal);
      before.then((next) => next && this.media.gop(next, signal)).catch(() => undefined);
      await this.decodeSlabs(gop, track, samples, signal);
      const next = await before;
      if (!next || next.end < gop.start - JITTER) this.covered = next ? next.end : 0;
      gop = next;
    }
    if (!gop) this.covered = 0;
  }

  /**
   * Decodes a group from its end to its beginning in slabs that fit the memory. A long group is decoded again
   * from its key frame for each slab: time for memory, within bounds either way.
   */
  private async decodeSlabs(
    gop: Gop,
    track: Parameters<Decoder["configure"]>[0],
    samples: TimedSample[],
    signal: AbortSignal,
  ): Promise<void> {
    const order = samples.filter((sample) => sample.at <= this.at).sort((a, b) => a.at - b.at);
    const { width, height } = this.scaled(track.width ?? 640, track.height ?? 360);
    const slab = Math.max(
      6,
      Math.min(60, Math.floor(SLAB_BYTES_TOTAL / this.share / 2 / (width * height * 4))),
    );
    for (let end = order.length; end > 0 && !signal.aborted; end -= slab) {
      const wanted = order.slice(Math.max(0, end - slab), end);
      const from = wanted[0]!.at;
      const to = wanted.at(-1)!.at;
      await this.room(slab, signal);
      const converting: Promise<void>[] = [];
      const decoder = this.newDecoder(gop.start, signal, (picture) => {
        if (picture.at < from || picture.at > to) return picture.image.close();
        converting.push(this.shrink(picture, width, height).then((small) => this.keep(small, signal)));
      });
      await decoder.configure(track);
      const last = Math.max(...wanted.map((sample) => samples.indexOf(sample)));
      for (const sample of samples.slice(0, last + 1)) await decoder.decode(sample);
      await decoder.flush();
      await Promise.all(converting);
      this.covered = Math.min(this.covered, from);
    }
  }

  private async playEntries(at: Micros, signal: AbortSignal): Promise<void> {
    const forward = this.speed > 0;
    // At least a sixteenth of a second of wall time between pictures is enough for the eye.
    const stride = (Math.abs(this.speed) * 1_000_000) / 16;
    const search = (from: Micros) =>
      forward ? this.footage.from(from, signal) : this.footage.until(from, signal);
    const neighbour = (gop: Gop) =>
      forward ? this.footage.next(gop, signal) : this.footage.previous(gop, signal);
    // Skips entry points that come too soon; `joined` says that nothing is missing up to the next one.
    const follow = async (gop: Gop) => {
      let last = gop;
      let next = await neighbour(gop);
      let joined = next !== undefined && contiguous(last, next);
      while (next && joined && Math.abs(next.start - gop.start) < stride) {
        last = next;
        next = await neighbour(last);
        joined = next !== undefined && contiguous(last, next);
      }
      return { next, joined, last };
    };
    let gap = true;
    let later: Micros | undefined;
    let gop = await search(at);
    let media = gop && this.media.entry(gop, signal);
    while (gop && media && !signal.aborted) {
      if (gap && forward && gop.start > this.covered) this.covered = gop.start;
      if (gap && !forward && gop.end < this.covered) this.covered = gop.end;
      const { next, joined, last } = await follow(gop);
      const nextMedia = next && this.media.entry(next, signal);
      nextMedia?.catch(() => undefined);
      const { track, samples } = await media;
      const { width, height } = this.scaled(track.width ?? 640, track.height ?? 360);
      // Each picture lasts until the one that was or will be shown after it in time.
      const until: Micros = forward ? (next && joined ? next.start : last.end) : (later ?? gop.end);
      await this.room(AHEAD_FAST, signal);
      const start = gop.start;
      await this.decodeEntry(start, track, samples, until, width, height, signal);
      this.covered = forward ? Math.max(this.covered, until) : Math.min(this.covered, start);
      if (!next) {
        this.covered = forward ? (gop.end > this.now() - 15_000_000 ? gop.end : Number.POSITIVE_INFINITY) : 0;
      }
      gap = !joined;
      later = joined ? start : undefined;
      gop = next;
      media = nextMedia;
    }
    if (!gop) this.covered = forward ? Math.max(this.covered, this.now()) : 0;
  }

  private async decodeEntry(
    start: Micros,
    track: Parameters<Decoder["configure"]>[0],
    samples: TimedSample[],
    until: Micros,
    width: number,
    height: number,
    signal: AbortSignal,
  ): Promise<void> {
    const [sample] = samples;
    if (!sample) return;
    const converting: Promise<void>[] = [];
    const decoder = this.newDecoder(start, signal, (picture) => {
      const lasting = { ...picture, duration: Math.max(picture.duration, until - picture.at) };
      converting.push(this.shrink(lasting, width, height).then((small) => this.keep(small, signal)));
    });
    await decoder.configure(track);
    await decoder.decode(sample);
    await decoder.flush();
    await Promise.all(converting);
  }

  private async playStills(signal: AbortSignal): Promise<void> {
    this.covered = this.speed >= 0 ? Number.POSITIVE_INFINITY : 0;
    while (!signal.aborted) {
      await this.drawStill(this.at, signal);
      await sleep(STILLS_MS, signal);
    }
  }

  private async drawStill(at: Micros, signal: AbortSignal): Promise<void> {
    const codec = this.stills ?? "";
    const gop = await this.footage.at(at, signal);
    signal.throwIfAborted();
    if (!gop) {
      this.blank();
      this.setStatus({ kind: "gap" });
      return;
    }
    const image = await createImageBitmap(
      await still_get(this.camera, at, Math.min(1280, this.boxWidth), signal),
    );
    if (!signal.aborted) {
      this.paint(image, image.width, image.height);
      this.drawn = at;
      this.setStatus({ kind: "stills", codec });
    }
    image.close();
  }

  private async room(ahead: number, signal: AbortSignal): Promise<void> {
    const forward = this.speed >= 0;
    while (!signal.aborted && this.pictures.ahead(this.at, forward) >= ahead) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    if (signal.aborted) throw new DOMException("superseded", "AbortError");
  }

  private keep(picture: Picture<Drawable>, signal: AbortSignal): void {
    if (signal.aborted) picture.image.close();
    else this.pictures.push(picture);
  }

  private async shrink(
    picture: Picture<Drawable>,
    width: number,
    height: number,
  ): Promise<Picture<Drawable>> {
    const image = await createImageBitmap(picture.image, {
      resizeWidth: width,
      resizeHeight: height,
      resizeQuality: "low",
    });
    picture.image.close();
    return { ...picture, image };
  }

  private scaled(width: number, height: number): { width: number; height: number } {
    const factor = Math.min(1, this.boxWidth / Math.max(1, width));
    return {
      width: Math.max(2, Math.round(width * factor)),
      height: Math.max(2, Math.round(height * factor)),
    };
  }

  private draw(picture: Picture<Drawable>): void {
    if (this.drawn === picture.at) return;
    const { image } = picture;
    const width = "displayWidth" in image ? image.displayWidth : image.width;
    const height = "displayHeight" in image ? image.displayHeight : image.height;
    this.paint(image, width, height);
    this.drawn = picture.at;
    this.canvas.dataset.at = String(picture.at);
  }

  private paint(image: CanvasImageSource, width: number, height: number): void {
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context?.drawImage(image, 0, 0, width, height);
    this.drawnCount += 1;
  }

  private blank(): void {
    if (this.drawn === null && this.current.kind === "gap") return;
    this.context?.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.drawn = null;
    delete this.canvas.dataset.at;
  }

  private setStatus(status: Status): void {
    if (JSON.stringify(status) === JSON.stringify(this.current)) return;
    this.current = status;
    for (const listener of this.listeners) listener();
  }
}

function contiguous(a: Gop, b: Gop): boolean {
  return a.start <= b.start ? b.start - a.end < JITTER : a.start - b.end < JITTER;
}

/** The sample on screen at `at`, in a list in decode order. */
function lastAt(samples: TimedSample[], at: Micros): TimedSample {
  let best: TimedSample | undefined;
  for (const sample of samples) if (sample.at <= at && (!best || sample.at > best.at)) best = sample;
  const chosen = best ?? samples[0];
  if (!chosen) throw new Error("a group of pictures without samples");
  return chosen;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
