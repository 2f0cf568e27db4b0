/** Decoded pictures of one camera, in order of time, with a bound on how many are held. */
import type { Micros } from "../../data/time";

export interface Image {
  close(): void;
}

export interface Picture<T extends Image = Image> {
  at: Micros;
  duration: Micros;
  image: T;
}

export class Pictures<T extends Image = Image> {
  private list: Picture<T>[] = [];

  get length(): number {
    return this.list.length;
  }

  push(picture: Picture<T>): void {
    let index = this.list.length;
    while (index > 0 && this.list[index - 1]!.at > picture.at) index -= 1;
    if (index > 0 && this.list[index - 1]!.at === picture.at) {
      this.list[index - 1]!.image.close();
      this.list[index - 1] = picture;
      return;
    }
    this.list.splice(index, 0, picture);
  }

  /** The newest picture at or before `at`. */
  find(at: Micros): Picture<T> | undefined {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.list[middle]!.at <= at) low = middle + 1;
      else high = middle;
    }
    return this.list[low - 1];
  }

  /** How many pictures lie ahead of `at` in the direction of play. */
  ahead(at: Micros, forward: boolean): number {
    return this.list.filter((picture) => (forward ? picture.at > at : picture.at < at)).length;
  }

  /** Gives back what the clock has passed; the picture on screen stays. */
  trim(at: Micros, forward: boolean): void {
    const shown = this.find(at);
    this.list = this.list.filter((picture) => {
      const passed = forward ? picture.at < (shown?.at ?? picture.at) : picture.at > at;
      if (passed) picture.image.close();
      return !passed;
    });
  }

  clear(): void {
    for (const picture of this.list) picture.image.close();
    this.list = [];
  }
}
