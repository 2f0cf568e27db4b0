import type { Parameters } from "../../data/api";

/** What a transport tells the tile's player. */
export interface LinkEvents {
  onFailed(final?: boolean): void;
  onState(state: CameraStateMessage): void;
  /** The server cannot send a picture, by problem code, though the camera may be well. */
  onRefused(code: string): void;
  onInfo(info: { transcoded?: boolean; audio?: boolean; codec?: string }): void;
}

export interface CameraStateMessage {
  state: string;
  parameters?: Parameters;
  since?: string;
}

/** A running transport that feeds one `<video>`. */
export interface Link {
  /** Milliseconds from the camera's capture to the screen, where the transport can tell. */
  delayMs(): number | null;
  setPaused(paused: boolean): void;
  close(): void;
}
