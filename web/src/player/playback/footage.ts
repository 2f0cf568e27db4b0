/**
 * What is recorded of one camera, by group of pictures: an index over playback plans, read in windows and
 * kept within bounds.
 */
import type { PlanAnswer, PlanFile } from "../../data/api";
import { MINUTE, type Micros, parseTime, SECOND } from "../../data/time";

export interface Fragment {
  start: Micros;
  end: Micros;
  offset: number;
  bytes: number;
  entry: boolean;
}

interface File {
  plan: PlanFile;
  start: Micros;
  fragments: Fragment[];
}

/** A group of pictures: an entry point and what follows it until the next one. */
export interface Gop {
  file: PlanFile;
  fileStart: Micros;
  start: Micros;
  end: Micros;
  offset: number;
  bytes: number;
  /** Length of the fragment that begins with the key frame. */
  entryBytes: number;
}

export type FetchPlan = (start: Micros, end: Micros, signal: AbortSignal) => Promise<PlanAnswer>;
/** The next instant with footage in a direction, looking as far as it takes; `null` where there is none. */
export type FindFootage = (at: Micros, forward: boolean, signal: AbortSignal) => Promise<Micros | null>;

export const WINDOW: Micros = 2 * MINUTE;
const FILES_MAX = 200;
const PAGES_MAX = 20;
/** A window that reached into the present is read again after this long. */
const FRESH: Micros = SECOND;

export class Footage {
  private files = new Map<string, File>();
  /** Windows read so far and when they count as old (infinity for the past). */
  private windows = new Map<number, Micros>();
  private reading = new Map<number, Promise<void>>();

  constructor(
    private readonly fetchPlan: FetchPlan,
    private readonly findFootage: FindFootage,
    private readonly now: () => Micros,
  ) {}

  /** The group of pictures on screen at `at`. */
  async at(at: Micros, signal: AbortSignal): Promise<Gop | undefined> {
    await this.read(at, signal);
    const found = this.lookUp(at);
    if (found) return found;
    // The window may begin inside a long group of pictures.
    const file = this.fileAt(at);
    if (!file) return undefined;
    for (let back = 1; back <= 3; back += 1) {
      await this.read(at - back * WINDOW, signal);
      const gop = this.lookUp(at);
      if (gop) return gop;
    }
    return undefined;
  }

  async next(gop: Gop, signal: AbortSignal): Promise<Gop | undefined> {
    // A group at the live edge may have grown since.
    const after = await this.from(gop.end, signal);
    return after && (after.start > gop.start || after.end > gop.end) ? after : undefined;
  }

  async previous(gop: Gop, signal: AbortSignal): Promise<Gop | undefined> {
    return this.until(gop.start - 1, signal);
  }

  /** The group at `at` or the first one after it. */
  async from(at: Micros, signal: AbortSignal): Promise<Gop | undefined> {
    const here = await this.at(at, signal);
    if (here) return here;
    // Only within this window: between it and a later one that was read there may be footage not read yet.
    const windowEnd = (Math.floor(at / WINDOW) + 1) * WINDOW;
    let later = this.firstAfter(at);
    if (later && later.start >= windowEnd) later = undefined;
    if (!later && at < this.now()) {
      const next = await this.findFootage(at, true, signal);
      if (next === null) return undefined;
      await this.read(next, signal);
      later = this.lookUp(next) ?? this.firstAfter(at);
    }
    return later;
  }

  /** The group at `at` or the last one before it. */
  async until(at: Micros, signal: AbortSignal): Promise<Gop | undefined> {
    const here = await this.at(at, signal);
    if (here) return here;
    const next = await this.findFootage(at, false, signal);
    return next === null ? undefined : this.at(next, signal);
  }

  private fileAt(at: Micros): File | undefined {
    let best: File | undefined;
    for (const file of this.files.values()) {
      const last = file.fragments.at(-1);
      if (!last || at < file.fragments[0]!.start || at >= last.end) continue;
      // After a clock step back two epochs claim the same instant; the later one is on top.
      if (!best || file.plan.epoch > best.plan.epoch) best = file;
    }
    return best;
  }

  private lookUp(at: Micros): Gop | undefined {
    const file = this.fileAt(at);
    if (!file) return undefined;
    let index = file.fragments.findLastIndex((fragment) => fragment.start <= at);
    while (index >= 0 && !file.fragments[index]!.entry) index -= 1;
    return index < 0 ? undefined : gopFrom(file, index);
  }

  private firstAfter(at: Micros): Gop | undefined {
    let best: Gop | undefined;
    for (const file of this.files.values()) {
      const index = file.fragments.findIndex((fragment) => fragment.entry && fragment.start > at);
      if (index < 0 || (best && file.fragments[index]!.start >= best.start)) continue;
      best = gopFrom(file, index);
    }
    return best;
  }

  private async read(at: Micros, signal: AbortSignal): Promise<void> {
    const window = Math.floor(at / WINDOW);
    const now = this.now();
    const old = this.windows.get(window);
    if (window * WINDOW > now || (old !== undefined && now < old)) return;
    let running = this.reading.get(window);
    if (!running) {
      running = this.fetch(window, now, signal).finally(() => this.reading.delete(window));
      this.reading.set(window, running);
    }
    try {
      await running;
    } catch (error) {
      // Another caller's abort must not become ours.
      if (signal.aborted || !(error instanceof DOMException && error.name === "AbortError")) throw error;
      await this.fetch(window, now, signal);
    }
  }

  private async fetch(window: number, now: Micros, signal: AbortSignal): Promise<void> {
    let start = window * WINDOW;
    const end = start + WINDOW;
    if (this.files.size > FILES_MAX) this.forget();
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await this.fetchPlan(start, end, signal);
      for (const track of answer.tracks) for (const file of track.files) this.merge(file);
      const next = parseTime(answer.next);
      if (next === null || next <= start) break;
      start = next;
    }
    this.windows.set(window, end < now - 5 * SECOND ? Number.POSITIVE_INFINITY : now + FRESH);
  }

  private forget(): void {
    this.files.clear();
    this.windows.clear();
  }

  private merge(plan: PlanFile): void {
    const start = parseTime(plan.start);
    if (start === null || !(plan.timescale > 0)) return;
    const micros = (ticks: number) => start + Math.round((ticks * SECOND) / plan.timescale);
    const known = this.files.get(plan.url);
    const byOffset = new Map(known?.fragments.map((fragment) => [fragment.offset, fragment]));
    for (const [offset, bytes, ticks, duration, entry] of plan.fragments) {
      byOffset.set(offset, {
        start: micros(ticks),
        end: micros(ticks + duration),
        offset,
        bytes,
        entry: entry === 1,
      });
    }
    const fragments = [...byOffset.values()].sort((a, b) => a.offset - b.offset);
    this.files.set(plan.url, { plan, start, fragments });
  }
}

function gopFrom(file: File, index: number): Gop {
  const first = file.fragments[index]!;
  let last = first;
  for (let at = index + 1; at < file.fragments.length; at += 1) {
    const fragment = file.fragments[at]!;
    // A hole between windows that were read apart.
    if (fragment.entry || fragment.offset !== last.offset + last.bytes) break;
    last = fragment;
  }
  return {
    file: file.plan,
    fileStart: file.start,
    start: first.start,
    end: last.end,
    offset: first.offset,
    bytes: last.offset + last.bytes - first.offset,
    entryBytes: first.bytes,
  };
}
