/** Fetches and demultiplexes groups of pictures, with a cache bounded in bytes. */
import { fileRange_get } from "../../data/footage";
import { type Micros, SECOND } from "../../data/time";
import { readSamples, readTracks, type Sample, type TrackInfo } from "../demux";
import type { Gop } from "./footage";

export interface TimedSample extends Sample {
  at: Micros;
  length: Micros;
}

export interface GopMedia {
  track: TrackInfo;
  /** In decode order; the first one is the key frame. */
  samples: TimedSample[];
}

const CACHE_BYTES_MAX = 24 * 1024 * 1024;
const INITS_MAX = 32;

export class Media {
  private inits = new Map<string, Promise<TrackInfo>>();
  private cache = new Map<string, Uint8Array>();
  private cacheBytes = 0;

  async gop(gop: Gop, signal: AbortSignal): Promise<GopMedia> {
    const [track, bytes] = await Promise.all([this.track(gop, signal), this.bytes(gop, gop.bytes, signal)]);
    return { track, samples: timed(readSamples(bytes, track.id), track, gop.fileStart) };
  }

  /** The key frame alone. */
  async entry(gop: Gop, signal: AbortSignal): Promise<GopMedia> {
    const [track, bytes] = await Promise.all([
      this.track(gop, signal),
      this.bytes(gop, gop.entryBytes, signal),
    ]);
    return { track, samples: timed(readSamples(bytes, track.id).slice(0, 1), track, gop.fileStart) };
  }

  private track(gop: Gop, signal: AbortSignal): Promise<TrackInfo> {
    const { url, init_bytes } = gop.file;
    let init = this.inits.get(url);
    if (!init) {
      init = fileRange_get(url, 0, init_bytes, signal).then((bytes) => {
        const [track] = readTracks(bytes);
        if (!track) throw new Error("a recorded file has no track that can be read");
        return track;
      });
      init.catch(() => this.inits.delete(url));
      this.inits.set(url, init);
      const [oldest] = this.inits.keys();
      if (this.inits.size > INITS_MAX && oldest) this.inits.delete(oldest);
    }
    return init;
  }

  private async bytes(gop: Gop, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const key = `${gop.file.url}#${gop.offset}`;
    const cached = this.cache.get(key);
    if (cached && cached.length >= length) {
      // Most recently used goes last.
      this.cache.delete(key);
      this.cache.set(key, cached);
      return cached.subarray(0, length);
    }
    const bytes = await fileRange_get(gop.file.url, gop.offset, length, signal);
    if (cached) this.cacheBytes -= cached.length;
    this.cache.delete(key);
    this.cache.set(key, bytes);
    this.cacheBytes += bytes.length;
    for (const [old, value] of this.cache) {
      if (this.cacheBytes <= CACHE_BYTES_MAX || old === key) break;
      this.cache.delete(old);
      this.cacheBytes -= value.length;
    }
    return bytes;
  }
}

export function timed(samples: Sample[], track: TrackInfo, start: Micros): TimedSample[] {
  const micros = (ticks: number) => Math.round((ticks * SECOND) / track.timescale);
  return samples.map((sample) => ({
    ...sample,
    at: start + micros(sample.time),
    length: micros(sample.duration),
  }));
}
