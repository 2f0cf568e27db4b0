/** The one clock that all cameras of a playback follow: pure arithmetic. */
import type { Micros } from "../../data/time";

export interface Advance {
  at: Micros;
  /** The clock waits for at least one camera. */
  stalled: boolean;
}

/**
 * Moves the clock by `elapsed` microseconds of wall time at `speed` (negative runs backwards), but never past
 * what every camera has ready. That is what keeps cameras in step: the slowest one decides.
 */
export function advance(at: Micros, elapsed: Micros, speed: number, ready: Micros[], edge: Micros): Advance {
  const wanted = at + elapsed * speed;
  if (speed >= 0) {
    const limit = Math.min(edge, ...ready);
    return wanted <= limit ? { at: wanted, stalled: false } : { at: Math.max(at, limit), stalled: true };
  }
  const limit = Math.max(0, ...ready);
  return wanted >= limit ? { at: wanted, stalled: false } : { at: Math.min(at, limit), stalled: true };
}

export const SPEEDS: readonly number[] = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16];

/** Above this, only entry points are decoded. */
export const EVERY_FRAME_SPEED_MAX = 4;

/** J, K, L: each press of the same key doubles the speed in its direction; the other key turns round. */
export function shuttle(speed: number, playing: boolean, direction: 1 | -1): number {
  if (!playing || Math.sign(speed) !== direction) return direction;
  return direction * Math.min(16, Math.max(1, Math.abs(speed) * 2));
}

export function nextSpeed(speed: number, by: 1 | -1): number {
  const sign = speed < 0 ? -1 : 1;
  const index = SPEEDS.indexOf(Math.abs(speed));
  const next = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, (index < 0 ? 3 : index) + by))] ?? 1;
  return sign * next;
}
