/**
 * Instants as whole microseconds since the Unix epoch.
 *
 * A JavaScript number holds them exactly until the year 2255, and frames of different cameras are told
 * apart by less than the millisecond that `Date` keeps.
 */
export type Micros = number;

export const SECOND: Micros = 1_000_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const PATTERN = /^(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Reads an RFC 3339 time; `null` for anything else. */
export function parseTime(text: string | null | undefined): Micros | null {
  const match = text ? PATTERN.exec(text) : null;
  if (!match) return null;
  const seconds = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(seconds)) return null;
  return seconds * 1000 + Number((match[2] ?? "").padEnd(6, "0").slice(0, 6));
}

/** Writes an RFC 3339 time with microseconds and Z. */
export function formatTime(at: Micros): string {
  const whole = Math.round(at);
  const millis = Math.floor(whole / 1000);
  const rest = whole - millis * 1000;
  return `${new Date(millis).toISOString().slice(0, 23)}${String(rest).padStart(3, "0")}Z`;
}

/**
 * The server's clock as seen from here, narrowed by every `Date` header.
 *
 * Each answer says that the server's time was within one second at some moment between sending and
 * receiving; intersecting these bounds soon gives a few hundredths of a second.
 */
export class ServerClock {
  private low = Number.NEGATIVE_INFINITY;
  private high = Number.POSITIVE_INFINITY;

  observe(header: string | null, sentMs: number, receivedMs: number): void {
    const date = header ? Date.parse(header) : Number.NaN;
    if (Number.isNaN(date)) return;
    const low = date - receivedMs;
    const high = date + 1000 - sentMs;
    if (low > this.high || high < this.low) {
      // One of the clocks was set: begin again.
      this.low = low;
      this.high = high;
      return;
    }
    this.low = Math.max(this.low, low);
    this.high = Math.min(this.high, high);
  }

  offsetMs(): number {
    if (!Number.isFinite(this.low) || !Number.isFinite(this.high)) return 0;
    // Clocks that agree (one machine, or both synchronised) need no correction.
    if (this.low <= 0 && this.high >= 0) return 0;
    return (this.low + this.high) / 2;
  }

  now(): Micros {
    return Math.round((Date.now() + this.offsetMs()) * 1000);
  }
}

export const serverClock = new ServerClock();
