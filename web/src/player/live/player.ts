/**
 * One live tile: chooses and drives a transport, watches that the picture moves, and says what is going on.
 *
 * It owns its `<video>` and knows no framework; a view mounts {@link LivePlayer.element} and reads snapshots.
 */
import type { Id } from "../../data/api";
import { mediaSourceClass, rtcReceives } from "../capability";
import type { CameraStateMessage, Link, LinkEvents } from "./link";
import { openMse } from "./mse";
import { type Action, type Input, type State, step, streamFor, type Transport } from "./transport";
import { openWhep } from "./whep";

export interface LiveSnapshot {
  phase: "idle" | "connecting" | "playing" | "waiting";
  transport: Transport | null;
  stream: "live" | "sub";
  /** When the last picture came, in `Date.now()` milliseconds, if pictures have stopped coming. */
  frozenSince: number | null;
  /** Rounded to half seconds, and only when it is worth telling. */
  delayMs: number | null;
  transcoded: boolean;
  audio: boolean;
  muted: boolean;
  camera: CameraStateMessage | null;
  /** A problem code, while the server refuses to send a picture. */
  refused: string | null;
}

export interface LiveOptions {
  camera: Id;
  subHeight?: number;
  /** Forces the stream, for tests and previews. */
  stream?: "live" | "sub";
}

/** Without a new frame for this long, the picture counts as frozen … */
const FROZEN_MS = 2_500;
/** … and after this long the transport is opened anew. */
const STALLED_MS = 12_000;
/** Delay above this is told. */
const DELAY_TOLD_MS = 2_000;
/** A page in the background this long gives its connections back. */
const HIDDEN_MS = 30_000;

const MEMORY = "varde.transport";

function remembered(camera: Id): Transport | undefined {
  try {
    const value = (JSON.parse(localStorage.getItem(MEMORY) ?? "{}") as Record<string, Transport>)[camera];
    return value === "whep" || value === "mse" ? value : undefined;
  } catch {
    return undefined;
  }
}

function remember(camera: Id, transport: Transport): void {
  try {
    const all = JSON.parse(localStorage.getItem(MEMORY) ?? "{}") as Record<string, Transport>;
    if (all[camera] === transport) return;
    const kept = Object.entries(all).slice(-199);
    localStorage.setItem(MEMORY, JSON.stringify({ ...Object.fromEntries(kept), [camera]: transport }));
  } catch {
    // Without storage the choice is made anew each time.
  }
}

function transportOrder(camera: Id): Transport[] {
  const order: Transport[] = [];
  if (rtcReceives("video/H264")) order.push("whep");
  if (mediaSourceClass()) order.push("mse");
  const known = remembered(camera);
  return known && order.includes(known) ? [known, ...order.filter((item) => item !== known)] : order;
}

export class LivePlayer {
  readonly element: HTMLDivElement;
  readonly video: HTMLVideoElement;
  /** Keeps the last picture while there is no new one. */
  private readonly still: HTMLCanvasElement;
  private state: State = { name: "idle" };
  private link: Link | undefined;
  private listeners = new Set<() => void>();
  private timer: ReturnType<typeof setInterval> | undefined;
  private hidden: ReturnType<typeof setTimeout> | undefined;
  private lastPicture = 0;
  private pictures = 0;
  private frameRequest = 0;
  private heightPx = 0;
  private sinceSize: ReturnType<typeof setTimeout> | undefined;
  private current: LiveSnapshot;

  constructor(private options: LiveOptions) {
    this.element = document.createElement("div");
    this.element.className = "live-picture";
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.autoplay = true;
    this.video.playsInline = true;
    this.video.setAttribute("aria-hidden", "true");
    this.still = document.createElement("canvas");
    this.still.hidden = true;
    this.element.append(this.video, this.still);
    this.current = {
      phase: "idle",
      transport: null,
      stream: options.stream ?? "live",
      frozenSince: null,
      delayMs: null,
      transcoded: false,
      audio: false,
      muted: true,
      camera: null,
      refused: null,
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): LiveSnapshot => this.current;

  /** Frames shown since the start; tests and the age of a frozen picture read it. */
  framesShown(): number {
    return this.pictures;
  }

  start(): void {
    document.addEventListener("visibilitychange", this.onVisibility);
    this.timer ??= setInterval(() => this.tick(), 500);
    this.dispatch({ type: "start" });
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.onVisibility);
    clearInterval(this.timer);
    clearTimeout(this.hidden);
    clearTimeout(this.sinceSize);
    this.timer = undefined;
    this.dispatch({ type: "stop" });
  }

  setMuted(muted: boolean): void {
    this.video.muted = muted;
    this.change({ muted });
  }

  setSubHeight(subHeight: number | undefined): void {
    this.options.subHeight = subHeight;
    this.chooseStream();
  }

  /** The tile's height in device pixels; the stream follows once the size rests. */
  setHeight(px: number): void {
    const first = this.heightPx === 0;
    this.heightPx = px;
    clearTimeout(this.sinceSize);
    if (first) this.chooseStream();
    else this.sinceSize = setTimeout(() => this.chooseStream(), 400);
  }

  /** The picture as it is now, in its full size. */
  capture(): HTMLCanvasElement | null {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    return canvas;
  }

  private chooseStream(): void {
    const wanted =
      this.options.stream ?? streamFor(this.heightPx, this.options.subHeight, this.current.stream);
    if (wanted === this.current.stream) return;
    this.change({ stream: wanted });
    if (this.state.name === "idle") return;
    // The old picture stays on the still until the new stream's first frame.
    this.dispatch({ type: "stop" });
    this.dispatch({ type: "start" });
  }

  private dispatch(input: Input): void {
    const choice = { order: transportOrder(this.options.camera), jitter: Math.random() };
    const { state, actions } = step(this.state, input, performance.now(), choice);
    this.state = state;
    for (const action of actions) this.carryOut(action);
    const transport = state.name === "connecting" || state.name === "playing" ? state.transport : null;
    this.change({ phase: state.name, transport });
  }

  private carryOut(action: Action): void {
    if (action.type === "close") {
      this.keepStill();
      cancelAnimationFrame(this.frameRequest);
      this.link?.close();
      this.link = undefined;
      return;
    }
    const events: LinkEvents = {
      onFailed: (final) => {
        // A failure of a link that is already closed says nothing about the new one.
        if (this.link === link) this.dispatch({ type: "failed", final });
      },
      onState: (camera) => this.change({ camera }),
      onRefused: (refused) => this.change({ refused }),
      onInfo: (info) =>
        this.change({
          transcoded: info.transcoded ?? this.current.transcoded,
          audio: info.audio ?? this.current.audio,
        }),
    };
    this.change({ transcoded: false, audio: false, delayMs: null });
    const open = action.transport === "whep" ? openWhep : openMse;
    const link = open(this.options.camera, this.current.stream, this.video, events);
    this.link = link;
    this.watch(link);
  }

  /** Counts pictures until the link is replaced. */
  private watch(link: Link): void {
    const seen = () => {
      if (this.link !== link) return;
      this.lastPicture = Date.now();
      this.pictures += 1;
      if (this.current.refused) this.change({ refused: null });
      if (this.state.name === "connecting") {
        remember(this.options.camera, this.state.transport);
        this.dispatch({ type: "picture" });
      }
      if (!this.still.hidden) this.still.hidden = true;
      if (this.current.frozenSince !== null) this.change({ frozenSince: null });
      this.video.requestVideoFrameCallback(seen);
    };
    this.video.requestVideoFrameCallback(seen);
  }

  private keepStill(): void {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || this.lastPicture === 0) return;
    this.still.width = width;
    this.still.height = height;
    this.still.getContext("2d")?.drawImage(this.video, 0, 0);
    this.still.hidden = false;
  }

  private tick(): void {
    this.dispatch({ type: "tick" });
    if (document.hidden) return;
    const silent = Date.now() - this.lastPicture;
    const stopped = this.lastPicture > 0 && silent > FROZEN_MS;
    const frozenSince = stopped ? this.lastPicture : null;
    if (frozenSince !== this.current.frozenSince) this.change({ frozenSince });
    if (this.state.name === "playing" && silent > STALLED_MS) this.dispatch({ type: "failed" });
    const delay = this.link?.delayMs() ?? null;
    const told = delay !== null && delay > DELAY_TOLD_MS && !stopped ? Math.round(delay / 500) * 500 : null;
    if (told !== this.current.delayMs) this.change({ delayMs: told });
  }

  private onVisibility = (): void => {
    clearTimeout(this.hidden);
    if (document.hidden) {
      this.link?.setPaused(true);
      this.hidden = setTimeout(() => this.dispatch({ type: "stop" }), HIDDEN_MS);
      return;
    }
    // Frames are not reported to a hidden page; the silence was ours.
    this.lastPicture = this.lastPicture && Date.now();
    if (this.state.name === "idle") this.dispatch({ type: "start" });
    else this.link?.setPaused(false);
  };

  private change(patch: Partial<LiveSnapshot>): void {
    const next = { ...this.current, ...patch };
    const same = (Object.keys(next) as (keyof LiveSnapshot)[]).every(
      (key) => next[key] === this.current[key],
    );
    if (same) return;
    this.current = next;
    for (const listener of this.listeners) listener();
  }
}
