/**
 * Reads ISO base media boxes (ISO/IEC 14496-12) out of bytes that may be torn or hostile: every size is
 * checked against its parent, and what does not fit ends the walk.
 */
export interface Box {
  type: string;
  /** Offset of the box's header. */
  start: number;
  /** Offset of its payload. */
  body: number;
  end: number;
}

export class Reader {
  readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  *boxes(start = 0, end = this.bytes.length): Generator<Box> {
    let at = start;
    while (at + 8 <= end) {
      let size = this.view.getUint32(at);
      const type = this.fourcc(at + 4);
      let body = at + 8;
      if (size === 1) {
        if (at + 16 > end) return;
        size = Number(this.view.getBigUint64(at + 8));
        body = at + 16;
      } else if (size === 0) {
        size = end - at;
      }
      if (size < body - at || at + size > end) return;
      yield { type, start: at, body, end: at + size };
      at += size;
    }
  }

  find(path: string[], start = 0, end = this.bytes.length): Box | undefined {
    const [head, ...rest] = path;
    for (const box of this.boxes(start, end)) {
      if (box.type !== head) continue;
      return rest.length === 0 ? box : this.find(rest, box.body, box.end);
    }
    return undefined;
  }

  fourcc(at: number): string {
    return String.fromCharCode(
      this.view.getUint8(at),
      this.view.getUint8(at + 1),
      this.view.getUint8(at + 2),
      this.view.getUint8(at + 3),
    );
  }

  slice(start: number, end: number): Uint8Array {
    return this.bytes.subarray(start, end);
  }
}
