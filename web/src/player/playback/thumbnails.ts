/** Small stills for scrubbing: one request at a time, stale ones cancelled, a bounded cache. */
import type { Id } from "../../data/api";
import { still_get } from "../../data/footage";
import { type Micros, SECOND } from "../../data/time";

const CACHE_MAX = 96;
/** Instants closer than this share a thumbnail. */
const GRID: Micros = SECOND;
/** A request older than this gives way to a newer wish. */
const PATIENCE_MS = 250;

export class Thumbnails {
  private cache = new Map<number, ImageBitmap>();
  private running: { key: number; since: number; abort: AbortController } | undefined;
  private wish: { key: number; at: Micros; width: number } | undefined;

  constructor(
    private readonly camera: Id,
    private readonly show: (image: ImageBitmap) => void,
  ) {}

  want(at: Micros, width: number): void {
    const key = Math.round(at / GRID);
    const cached = this.cache.get(key);
    this.wish = undefined;
    if (cached) {
      this.show(cached);
      return;
    }
    this.wish = { key, at: key * GRID, width };
    if (this.running && performance.now() - this.running.since > PATIENCE_MS) this.running.abort.abort();
    if (!this.running) void this.fetch();
  }

  /** Forgets what was wished; what is cached stays. */
  cancel(): void {
    this.wish = undefined;
    this.running?.abort.abort();
  }

  dispose(): void {
    this.cancel();
    for (const image of this.cache.values()) image.close();
    this.cache.clear();
  }

  private async fetch(): Promise<void> {
    while (this.wish) {
      const { key, at, width } = this.wish;
      this.wish = undefined;
      const abort = new AbortController();
      this.running = { key, since: performance.now(), abort };
      try {
        const image = await createImageBitmap(await still_get(this.camera, at, width, abort.signal));
        this.put(key, image);
        this.show(image);
      } catch {
        // Aborted, or nothing recorded there: the next wish decides.
      }
    }
    this.running = undefined;
  }

  private put(key: number, image: ImageBitmap): void {
    this.cache.set(key, image);
    const [oldest] = this.cache;
    if (this.cache.size <= CACHE_MAX || !oldest) return;
    oldest[1].close();
    this.cache.delete(oldest[0]);
  }
}
