/**
 * Single steps: each one moves by exactly one frame from the frame that is shown, however fast they come.
 *
 * A step waits until the picture of the last seek or step is on screen; what the playhead says in between
 * two frames, or while one is loading, does not count.
 */
import type { Micros } from "../../data/time";

/** The camera whose frames are stepped through. */
export interface Leader {
  /** Fulfilled once the last seek shows its picture. */
  readonly settled: Promise<void>;
  /** The time of the picture on screen; `null` in a gap. */
  shownAt(): Micros | null;
  /** The instant of the frame next to `at`, or `null` at the end of what is recorded. */
  neighbour(at: Micros, forward: boolean): Promise<Micros | null>;
}

/** Steps that wait for their turn; a key that is held down on a slow line must not run on for minutes. */
const WAITING_MAX = 32;

export class Stepper {
  private queue: Promise<void> = Promise.resolve();
  private waiting = 0;
  private generation = 0;

  constructor(
    private readonly leader: () => Leader | undefined,
    private readonly playhead: () => Micros,
    /** Moves the playhead and has every camera seek there. */
    private readonly go: (at: Micros) => void,
  ) {}

  /** Fulfilled when this step is on screen, or has become void. */
  step(forward: boolean): Promise<void> {
    if (this.waiting >= WAITING_MAX) return this.queue;
    this.waiting += 1;
    const { generation } = this;
    this.queue = this.queue
      .then(() => this.take(forward, generation))
      // A network error: this step does not happen; the tile tells why.
      .catch(() => undefined)
      .finally(() => {
        this.waiting -= 1;
      });
    return this.queue;
  }

  /** Voids the steps that wait or are under way: something else moves the playhead. */
  cancel(): void {
    this.generation += 1;
  }

  private async take(forward: boolean, generation: number): Promise<void> {
    const leader = this.leader();
    if (!leader || generation !== this.generation) return;
    await leader.settled;
    if (generation !== this.generation) return;
    const next = await leader.neighbour(leader.shownAt() ?? this.playhead(), forward);
    if (next === null || generation !== this.generation) return;
    this.go(next);
    await leader.settled;
  }
}
