/**
 * Several cameras in step: one clock, one transport, any speed and direction.
 *
 * The clock never passes what the slowest camera has ready, so two cameras never differ by more than the
 * spacing of their frames.
 */
import type { Id } from "../../data/api";
import type { Micros } from "../../data/time";
import { Sound } from "./audio";
import { CameraPlayback } from "./camera";
import { advance, nextSpeed, shuttle } from "./clock";
import type { Footage } from "./footage";
import { Stepper } from "./step";

export interface EngineSnapshot {
  playing: boolean;
  speed: number;
  /** Waiting for a camera, for longer than the eye forgives. */
  stalled: boolean;
  /** The camera that is heard, at real speed. */
  audible: Id | null;
  /** What the engine did by itself, for a note on the page. */
  note: { kind: "jumped"; from: Micros; to: Micros } | { kind: "end" } | null;
}

/** Behind the server's now, where every frame is on disk. */
export const EDGE: Micros = 3_000_000;
const STALL_TOLD_MS = 250;
const NOTE_MS = 4_000;
/** A gap shorter than this is played through. */
const JUMP_MIN: Micros = 1_500_000;
/** A timer that slept (hidden page) must not make the clock leap. */
const ELAPSED_MAX: Micros = 100_000;
/** After this rest, a scrub becomes an exact seek. */
const REST_MS = 140;

export class PlaybackEngine {
  readonly cameras = new Map<Id, CameraPlayback>();
  at: Micros;
  private current: EngineSnapshot = { playing: false, speed: 1, stalled: false, audible: null, note: null };
  private listeners = new Set<() => void>();
  private timeListeners = new Set<(at: Micros) => void>();
  private frame = 0;
  private lastTick = 0;
  private stalledSince = 0;
  private noteTimer: ReturnType<typeof setTimeout> | undefined;
  private restTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly stepper = new Stepper(
    () => this.cameras.values().next().value,
    () => this.at,
    (at) => {
      this.setTime(at);
      this.seekCameras();
    },
  );
  private sound: Sound | undefined;

  constructor(
    at: Micros,
    private readonly footageOf: (camera: Id, track: "video" | "audio") => Footage,
    private readonly now: () => Micros,
  ) {
    this.at = at;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  snapshot = (): EngineSnapshot => this.current;

  /** Called with every change of the clock, up to once per animation frame. */
  onTime(listener: (at: Micros) => void): () => void {
    this.timeListeners.add(listener);
    return () => this.timeListeners.delete(listener);
  }

  setCameras(ids: Id[]): void {
    for (const [id, camera] of this.cameras) {
      if (ids.includes(id)) continue;
      camera.dispose();
      this.cameras.delete(id);
    }
    for (const id of ids) {
      if (this.cameras.has(id)) continue;
      const camera = new CameraPlayback(id, this.footageOf(id, "video"), this.now);
      this.cameras.set(id, camera);
      if (this.current.playing) camera.play(this.at, this.current.speed);
      else void camera.seek(this.at);
    }
    for (const camera of this.cameras.values()) camera.share = Math.max(1, this.cameras.size);
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.noteTimer);
    this.endScrub();
    this.stepper.cancel();
    this.sound?.stop();
    this.setCameras([]);
    this.change({ playing: false });
  }

  play(speed = this.current.speed): void {
    this.endScrub();
    this.stepper.cancel();
    this.change({ playing: true, speed });
    for (const camera of this.cameras.values()) camera.play(this.at, speed);
    this.playSound();
    this.lastTick = performance.now();
    this.stalledSince = 0;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(this.tick);
  }

  pause(): void {
    if (!this.current.playing) return;
    cancelAnimationFrame(this.frame);
    this.sound?.stop();
    this.change({ playing: false, stalled: false });
    this.seekCameras();
  }

  toggle(): void {
    if (this.current.playing) this.pause();
    else this.play();
  }

  setSpeed(speed: number): void {
    if (this.current.playing) this.play(speed);
    else this.change({ speed });
  }

  faster(by: 1 | -1): void {
    this.setSpeed(nextSpeed(this.current.speed, by));
  }

  /** J and L. */
  shuttle(direction: 1 | -1): void {
    this.play(shuttle(this.current.speed, this.current.playing, direction));
  }

  seek(at: Micros): void {
    this.endScrub();
    this.stepper.cancel();
    this.setTime(Math.min(at, this.now() - EDGE / 3));
    if (this.current.playing) this.play();
    else this.seekCameras();
  }

  /** While a pointer drags the playhead: thumbnails at once, the exact frame when it rests. */
  scrub(at: Micros): void {
    this.stepper.cancel();
    if (this.current.playing) {
      cancelAnimationFrame(this.frame);
      this.sound?.stop();
      this.change({ playing: false, stalled: false });
    }
    this.setTime(Math.min(at, this.now()));
    for (const camera of this.cameras.values()) camera.scrub(this.at);
    this.endScrub();
    this.restTimer = setTimeout(() => {
      this.restTimer = undefined;
      this.seekCameras();
    }, REST_MS);
  }

  /** One frame on or back, by the frames of the leading camera; steps that come too fast are taken in turn. */
  step(forward: boolean): Promise<void> {
    this.pause();
    if (this.restTimer !== undefined) {
      // A scrub that has not come to rest yet: it does so now, and the step starts from its picture.
      this.endScrub();
      this.seekCameras();
    }
    return this.stepper.step(forward);
  }

  private endScrub(): void {
    clearTimeout(this.restTimer);
    this.restTimer = undefined;
  }

  /** Chooses the one camera that is heard; `null` is silence. */
  setAudible(camera: Id | null): void {
    this.sound?.stop();
    this.sound = camera === null ? undefined : new Sound(this.footageOf(camera, "audio"));
    this.change({ audible: camera });
    if (this.current.playing) this.playSound();
  }

  private playSound(): void {
    if (this.current.speed === 1) this.sound?.play(this.at);
    else this.sound?.stop();
  }

  private seekCameras(): void {
    for (const camera of this.cameras.values()) void camera.seek(this.at);
  }

  private setTime(at: Micros): void {
    this.at = at;
    for (const listener of this.timeListeners) listener(at);
  }

  private tick = (now: number): void => {
    if (!this.current.playing) return;
    this.frame = requestAnimationFrame(this.tick);
    const elapsed = Math.max(0, Math.min(ELAPSED_MAX, (now - this.lastTick) * 1000));
    this.lastTick = now;
    const cameras = [...this.cameras.values()];
    const { speed } = this.current;
    const ready = cameras.map((camera) => camera.covered);
    const { at, stalled } = advance(this.at, elapsed, speed, ready, this.now() - EDGE);
    if (at !== this.at) this.setTime(at);
    for (const camera of cameras) camera.show(at);
    if (speed === 1) this.sound?.follow(at);
    this.tellStall(stalled, now);
    if (cameras.length > 0 && cameras.every((camera) => camera.inGap(at))) this.jump(cameras);
  };

  private tellStall(stalled: boolean, now: number): void {
    if (!stalled) this.stalledSince = 0;
    else if (this.stalledSince === 0) this.stalledSince = now;
    const told = stalled && now - this.stalledSince > STALL_TOLD_MS && this.at < this.now() - 2 * EDGE;
    if (told !== this.current.stalled) this.change({ stalled: told });
  }

  /** No camera has footage here: go where the first one begins again. */
  private jump(cameras: CameraPlayback[]): void {
    const forward = this.current.speed > 0;
    const ends = cameras.map((camera) => camera.covered);
    const to = forward ? Math.min(...ends) : Math.max(...ends);
    if (forward ? to > this.now() : to <= 0) {
      this.pause();
      this.note({ kind: "end" });
      return;
    }
    if (Math.abs(to - this.at) < JUMP_MIN) return;
    const from = this.at;
    // Backwards, the last frame begins a little before the end of what is recorded.
    this.setTime(forward ? to : to - 1);
    this.note({ kind: "jumped", from, to });
    this.play();
  }

  private note(note: EngineSnapshot["note"]): void {
    this.change({ note });
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => this.change({ note: null }), NOTE_MS);
  }

  private change(patch: Partial<EngineSnapshot>): void {
    this.current = { ...this.current, ...patch };
    for (const listener of this.listeners) listener();
  }
}
