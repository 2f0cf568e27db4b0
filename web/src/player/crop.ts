/**
 * Where the visible picture begins inside the coded one, from the H.264 sequence parameter set (ITU-T H.264
 * §7.3.2.1.1). Chromium's software decoder leaves the offset at the top and left out of account.
 */

export interface Offset {
  x: number;
  y: number;
}

const NONE: Offset = { x: 0, y: 0 };
const HIGH_PROFILES = new Set([44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244]);
const CYCLE_MAX = 255;

/** `description` is an `avcC` record; what cannot be read has no offset. */
export function cropOffset(description: Uint8Array | undefined): Offset {
  // Six bytes of header with one parameter set at least, whose length comes first.
  if (description?.[0] !== 1 || (description[5]! & 31) === 0) return NONE;
  const length = (description[6]! << 8) | description[7]!;
  const unit = description.subarray(8, 8 + length);
  if (unit.length < 4 || (unit[0]! & 31) !== 7) return NONE;
  try {
    return readOffset(new Bits(withoutEmulation(unit.subarray(1))));
  } catch {
    return NONE;
  }
}

function readOffset(bits: Bits): Offset {
  const profile = bits.take(8);
  bits.take(16);
  bits.golomb();
  let chroma = 1;
  if (HIGH_PROFILES.has(profile)) {
    chroma = bits.golomb();
    if (chroma === 3) bits.take(1);
    bits.golomb();
    bits.golomb();
    bits.take(1);
    // Scaling lists are unheard of in cameras; such a picture keeps what the decoder says.
    if (bits.take(1) === 1) return NONE;
  }
  bits.golomb();
  const order = bits.golomb();
  if (order === 0) bits.golomb();
  if (order === 1) {
    bits.take(1);
    bits.golomb();
    bits.golomb();
    const cycle = Math.min(CYCLE_MAX, bits.golomb());
    for (let at = 0; at < cycle; at += 1) bits.golomb();
  }
  bits.golomb();
  bits.take(1);
  bits.golomb();
  bits.golomb();
  const framesOnly = bits.take(1);
  if (framesOnly === 0) bits.take(1);
  bits.take(1);
  if (bits.take(1) === 0) return NONE;
  const left = bits.golomb();
  bits.golomb();
  const top = bits.golomb();
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = (chroma === 1 ? 2 : 1) * (framesOnly === 1 ? 1 : 2);
  return { x: left * unitX, y: top * unitY };
}

/** Takes out the byte 3 that keeps start codes from appearing inside a unit. */
function withoutEmulation(bytes: Uint8Array): Uint8Array {
  return bytes.filter((byte, at) => !(byte === 3 && at >= 2 && bytes[at - 1] === 0 && bytes[at - 2] === 0));
}

class Bits {
  private at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  take(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1, this.at += 1) {
      const byte = this.bytes[this.at >> 3];
      if (byte === undefined) throw new RangeError("the parameter set ends early");
      value = value * 2 + ((byte >> (7 - (this.at & 7))) & 1);
    }
    return value;
  }

  /** An Exp-Golomb code; a signed one is as long. */
  golomb(): number {
    let zeros = 0;
    while (this.take(1) === 0) {
      zeros += 1;
      if (zeros > 31) throw new RangeError("no Exp-Golomb code is this long");
    }
    return 2 ** zeros - 1 + this.take(zeros);
  }
}
