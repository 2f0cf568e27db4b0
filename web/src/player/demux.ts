/** Fragmented MP4 to decoder input: the tracks of an initialisation segment and the samples of fragments. */
import { type Box, Reader } from "./box";

export interface TrackInfo {
  id: number;
  kind: "video" | "audio";
  timescale: number;
  /** The sample entry, such as `avc1`. */
  entry: string;
  /** The string that WebCodecs and MSE take, such as `avc1.64001f`. */
  codec: string;
  /** Decoder configuration for WebCodecs, where the codec has one. */
  description?: Uint8Array;
  width?: number;
  height?: number;
  channels?: number;
  sampleRate?: number;
}

export interface Sample {
  /** Presentation time in ticks of the track. */
  time: number;
  /** Decode time in ticks. */
  decodeTime: number;
  duration: number;
  key: boolean;
  data: Uint8Array;
}

/** More samples than this in one fragment is no footage. */
const SAMPLES_MAX = 10_000;

export function readTracks(bytes: Uint8Array): TrackInfo[] {
  const reader = new Reader(bytes);
  const moov = reader.find(["moov"]);
  if (!moov) return [];
  const tracks: TrackInfo[] = [];
  for (const box of reader.boxes(moov.body, moov.end)) {
    if (box.type !== "trak") continue;
    const track = readTrack(reader, box);
    if (track) tracks.push(track);
  }
  return tracks;
}

function readTrack(reader: Reader, trak: Box): TrackInfo | undefined {
  const { view } = reader;
  const within = (path: string[]) => reader.find(path, trak.body, trak.end);
  const tkhd = within(["tkhd"]);
  const mdhd = within(["mdia", "mdhd"]);
  const stsd = within(["mdia", "minf", "stbl", "stsd"]);
  if (!tkhd || !mdhd || !stsd || stsd.end - stsd.body < 16) return undefined;
  if (tkhd.end - tkhd.body < 24 || mdhd.end - mdhd.body < 24) return undefined;
  const id = view.getUint32(tkhd.body + (view.getUint8(tkhd.body) === 1 ? 20 : 12));
  const timescale = view.getUint32(mdhd.body + (view.getUint8(mdhd.body) === 1 ? 20 : 12));
  const entry = reader.boxes(stsd.body + 8, stsd.end).next().value as Box | undefined;
  if (!entry || timescale === 0) return undefined;
  return readEntry(reader, entry, id, timescale);
}

const VIDEO = new Set(["avc1", "avc3", "hvc1", "hev1", "av01", "jpeg", "mjpg"]);

function readEntry(reader: Reader, entry: Box, id: number, timescale: number): TrackInfo | undefined {
  const { view } = reader;
  const size = entry.end - entry.body;
  if (VIDEO.has(entry.type)) {
    if (size < 78) return undefined;
    const track: TrackInfo = {
      id,
      kind: "video",
      timescale,
      entry: entry.type,
      codec: entry.type,
      width: view.getUint16(entry.body + 24),
      height: view.getUint16(entry.body + 26),
    };
    for (const box of reader.boxes(entry.body + 78, entry.end)) {
      const payload = reader.slice(box.body, box.end);
      if (box.type === "avcC" && payload.length >= 4) {
        track.description = payload;
        track.codec = `${entry.type}.${hex(payload[1])}${hex(payload[2])}${hex(payload[3])}`;
      } else if (box.type === "hvcC" && payload.length >= 13) {
        track.description = payload;
        track.codec = hevcCodec(entry.type, payload);
      } else if (box.type === "av1C" && payload.length >= 4) {
        track.codec = av1Codec(payload);
      }
    }
    return track;
  }
  if (size < 28) return undefined;
  const track: TrackInfo = {
    id,
    kind: "audio",
    timescale,
    entry: entry.type,
    codec: entry.type.toLowerCase(),
    channels: view.getUint16(entry.body + 16),
    sampleRate: view.getUint16(entry.body + 24),
  };
  for (const box of reader.boxes(entry.body + 28, entry.end)) {
    if (box.type === "esds") {
      track.description = audioSpecificConfig(reader.slice(box.body + 4, box.end));
      const kind = track.description?.[0];
      track.codec = `mp4a.40.${kind === undefined ? 2 : kind >> 3}`;
    }
  }
  return track;
}

const hex = (byte = 0) => byte.toString(16).padStart(2, "0");

/** ISO/IEC 14496-15, annex E.3. */
function hevcCodec(entry: string, payload: Uint8Array): string {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const space = ["", "A", "B", "C"][view.getUint8(1) >> 6];
  const profile = view.getUint8(1) & 31;
  const tier = (view.getUint8(1) >> 5) & 1 ? "H" : "L";
  let flags = view.getUint32(2);
  let reversed = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    reversed = ((reversed << 1) | (flags & 1)) >>> 0;
    flags >>>= 1;
  }
  const constraints = Array.from(payload.subarray(6, 12));
  while (constraints.length > 0 && constraints.at(-1) === 0) constraints.pop();
  const tail = constraints.map((byte) => `.${byte.toString(16)}`).join("");
  return `${entry}.${space}${profile}.${reversed.toString(16)}.${tier}${view.getUint8(12)}${tail}`;
}

function av1Codec(payload: Uint8Array): string {
  const [, second = 0, third = 0] = payload;
  const tier = third & 0x80 ? "H" : "M";
  const depth = third & 0x40 ? (third & 0x20 ? 12 : 10) : 8;
  return `av01.${second >> 5}.${String(second & 31).padStart(2, "0")}${tier}.${String(depth).padStart(2, "0")}`;
}

/** Finds the DecoderSpecificInfo (tag 5) inside an elementary stream descriptor (ISO/IEC 14496-1). */
function audioSpecificConfig(bytes: Uint8Array): Uint8Array | undefined {
  let at = 0;
  const header = () => {
    const tag = bytes[at];
    at += 1;
    let length = 0;
    for (let count = 0; count < 4; count += 1) {
      const byte = bytes[at] ?? 0;
      at += 1;
      length = (length << 7) | (byte & 0x7f);
      if (!(byte & 0x80)) break;
    }
    return { tag, length };
  };
  while (at < bytes.length) {
    const { tag, length } = header();
    if (tag === 3) {
      const flags = bytes[at + 2] ?? 0;
      at += 3 + (flags & 0x80 ? 2 : 0) + (flags & 0x20 ? 2 : 0);
    } else if (tag === 4) at += 13;
    else if (tag === 5) return at + length <= bytes.length ? bytes.subarray(at, at + length) : undefined;
    else at += length;
  }
  return undefined;
}

/** The samples of every whole fragment in `bytes` that belong to `track`, in decode order. */
export function readSamples(bytes: Uint8Array, track: number): Sample[] {
  const reader = new Reader(bytes);
  const samples: Sample[] = [];
  for (const box of reader.boxes()) {
    if (box.type !== "moof") continue;
    for (const traf of reader.boxes(box.body, box.end)) {
      if (traf.type === "traf") readFragment(reader, box, traf, track, samples);
    }
  }
  return samples;
}

interface Defaults {
  base: number;
  duration: number;
  size: number;
  flags: number;
}

const NON_SYNC = 0x10000;

function readFragment(reader: Reader, moof: Box, traf: Box, track: number, samples: Sample[]): void {
  const { view } = reader;
  const tfhd = reader.find(["tfhd"], traf.body, traf.end);
  const tfdt = reader.find(["tfdt"], traf.body, traf.end);
  if (!tfhd || !tfdt || tfhd.end - tfhd.body < 8 || tfdt.end - tfdt.body < 8) return;
  if (view.getUint32(tfhd.body + 4) !== track) return;
  const defaults = readDefaults(view, moof, tfhd);
  const wide = view.getUint8(tfdt.body) === 1;
  if (!defaults || (wide && tfdt.end - tfdt.body < 12)) return;
  let time = wide ? Number(view.getBigUint64(tfdt.body + 4)) : view.getUint32(tfdt.body + 4);
  for (const trun of reader.boxes(traf.body, traf.end)) {
    if (trun.type === "trun") time = readRun(reader, trun, defaults, time, samples);
  }
}

function readDefaults(view: DataView, moof: Box, tfhd: Box): Defaults | undefined {
  const flags = view.getUint32(tfhd.body) & 0xffffff;
  const defaults: Defaults = { base: moof.start, duration: 0, size: 0, flags: 0 };
  let at = tfhd.body + 8;
  const take = (bytes: number) => {
    const here = at;
    at += bytes;
    return here;
  };
  const needed = (flags & 1 ? 8 : 0) + [2, 8, 16, 32].filter((bit) => flags & bit).length * 4;
  if (at + needed > tfhd.end) return undefined;
  if (flags & 1) defaults.base = Number(view.getBigUint64(take(8)));
  if (flags & 2) take(4);
  if (flags & 8) defaults.duration = view.getUint32(take(4));
  if (flags & 16) defaults.size = view.getUint32(take(4));
  if (flags & 32) defaults.flags = view.getUint32(take(4));
  // A range out of a file carries no valid absolute offsets: data always follows its own `moof`.
  defaults.base = moof.start;
  return defaults;
}

function readRun(reader: Reader, trun: Box, defaults: Defaults, start: number, samples: Sample[]): number {
  const { view } = reader;
  if (trun.end - trun.body < 8) return start;
  const version = view.getUint8(trun.body);
  const flags = view.getUint32(trun.body) & 0xffffff;
  const count = view.getUint32(trun.body + 4);
  const entryBytes = [0x100, 0x200, 0x400, 0x800].filter((bit) => flags & bit).length * 4;
  let at = trun.body + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
  if (count > SAMPLES_MAX || at + count * entryBytes > trun.end) return start;
  let data = defaults.base + (flags & 1 ? view.getInt32(trun.body + 8) : 0);
  const firstFlags = flags & 4 ? view.getUint32(trun.body + 8 + (flags & 1 ? 4 : 0)) : undefined;
  let time = start;
  for (let index = 0; index < count; index += 1) {
    let { duration, size, flags: sampleFlags } = defaults;
    let offset = 0;
    if (flags & 0x100) {
      duration = view.getUint32(at);
      at += 4;
    }
    if (flags & 0x200) {
      size = view.getUint32(at);
      at += 4;
    }
    if (flags & 0x400) {
      sampleFlags = view.getUint32(at);
      at += 4;
    } else if (index === 0 && firstFlags !== undefined) sampleFlags = firstFlags;
    if (flags & 0x800) {
      offset = version === 0 ? view.getUint32(at) : view.getInt32(at);
      at += 4;
    }
    if (data < 0 || data + size > reader.bytes.length) return time;
    samples.push({
      time: time + offset,
      decodeTime: time,
      duration,
      key: (sampleFlags & NON_SYNC) === 0,
      data: reader.slice(data, data + size),
    });
    data += size;
    time += duration;
  }
  return time;
}
