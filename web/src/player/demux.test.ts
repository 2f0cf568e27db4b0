import { describe, expect, it } from "vitest";
import { Reader } from "./box";
import { readSamples, readTracks } from "./demux";

function u32(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}
function box(type: string, ...parts: number[][]): number[] {
  const body = parts.flat();
  return [...u32(body.length + 8), ...[...type].map((character) => character.charCodeAt(0)), ...body];
}
const zeros = (count: number) => new Array<number>(count).fill(0);

const AVCC = [1, 0x64, 0x00, 0x1f, 0xff, 0xe0, 0];

function init(entry: number[]): Uint8Array {
  const stsd = box("stsd", u32(0), u32(1), entry);
  return Uint8Array.from([
    ...box("ftyp", [...u32(0), ...u32(0)]),
    ...box(
      "moov",
      box(
        "trak",
        box("tkhd", u32(7), zeros(8), u32(3), zeros(64)),
        box("mdia", box("mdhd", u32(0), zeros(8), u32(90_000), zeros(8)), box("minf", box("stbl", stsd))),
      ),
    ),
  ]);
}
const avc1 = (extra: number[] = box("avcC", AVCC)) =>
  box("avc1", zeros(24), [0x07, 0x80, 0x04, 0x38], zeros(50), extra);

/** A fragment with a key frame of two bytes and a delta frame of three, the latter shown 3000 ticks later. */
function fragment(start: number, track = 3): Uint8Array {
  const make = (offset: number) =>
    box(
      "moof",
      box("mfhd", u32(0), u32(1)),
      box(
        "traf",
        box("tfhd", u32(0x020008), u32(track), u32(3000)),
        box("tfdt", u32(0x01000000), u32(0), u32(start)),
        box(
          "trun",
          u32(0x01000e01),
          u32(2),
          u32(offset),
          [...u32(2), ...u32(0x02000000), ...u32(0)],
          [...u32(3), ...u32(0x01010000), ...u32(3000)],
        ),
      ),
    );
  const length = make(0).length;
  return Uint8Array.from([...make(length + 8), ...box("mdat", [1, 2, 3, 4, 5])]);
}

describe("initialisation segments", () => {
  it("give track, time scale, size and codec", () => {
    const [track] = readTracks(init(avc1()));
    expect(track).toMatchObject({
      id: 3,
      kind: "video",
      timescale: 90_000,
      codec: "avc1.64001f",
      width: 1920,
    });
    expect(Array.from(track?.description ?? [])).toEqual(AVCC);
  });
  it("name H.265 by its profile, tier and level", () => {
    const hvcc = [1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, ...zeros(10)];
    const [track] = readTracks(init(box("hvc1", zeros(78), box("hvcC", hvcc))));
    expect(track?.codec).toBe("hvc1.1.6.L93.90");
  });
  it("find the AAC configuration", () => {
    const esds = [3, 22, 0, 1, 0, 4, 17, 0x40, ...zeros(12), 5, 2, 0x12, 0x10];
    const [track] = readTracks(
      init(box("mp4a", zeros(16), [0, 2], zeros(6), [0xbb, 0x80, 0, 0], zeros(0), box("esds", u32(0), esds))),
    );
    expect(track).toMatchObject({ kind: "audio", codec: "mp4a.40.2", channels: 2, sampleRate: 48_000 });
    expect(Array.from(track?.description ?? [])).toEqual([0x12, 0x10]);
  });
});

describe("fragments", () => {
  it("give samples with times, flags and bytes", () => {
    const samples = readSamples(fragment(9000), 3);
    expect(
      samples.map(({ time, decodeTime, key, duration }) => ({ time, decodeTime, key, duration })),
    ).toEqual([
      { time: 9000, decodeTime: 9000, key: true, duration: 3000 },
      { time: 15_000, decodeTime: 12_000, key: false, duration: 3000 },
    ]);
    expect(samples.map((sample) => Array.from(sample.data))).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });
  it("may follow one another in a range", () => {
    const bytes = Uint8Array.from([...fragment(0), ...fragment(6000)]);
    expect(readSamples(bytes, 3).map((sample) => sample.decodeTime)).toEqual([0, 3000, 6000, 9000]);
  });
  it("of another track are passed over", () => {
    expect(readSamples(fragment(0), 4)).toEqual([]);
  });
});

describe("damaged input", () => {
  const whole = Uint8Array.from([...init(avc1()), ...fragment(0)]);

  it("torn at any byte gives whole samples or none, and never throws", () => {
    for (let length = 0; length <= whole.length; length += 1) {
      const torn = whole.slice(0, length);
      readTracks(torn);
      for (const sample of readSamples(torn, 3)) expect(sample.data.length).toBeGreaterThan(0);
    }
  });
  it("with any byte flipped never throws and never reads outside", () => {
    for (let at = 0; at < whole.length; at += 1) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const bytes = whole.slice();
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        readTracks(bytes);
        for (const sample of readSamples(bytes, 3))
          expect(sample.data.length).toBeLessThanOrEqual(bytes.length);
      }
    }
  });
  it("with a box larger than its parent ends the walk", () => {
    const bytes = Uint8Array.from([
      ...u32(400),
      ...[..."moov"].map((character) => character.charCodeAt(0)),
      0,
    ]);
    expect([...new Reader(bytes).boxes()]).toEqual([]);
  });
});
