/** A camera's state as a dot with a shape of its own, and in words. */
import type { Parameters } from "../data/api";
import { tCode } from "../i18n";
import styles from "./camera-state.module.css";

const GOOD = new Set(["online"]);
const QUIET = new Set(["disabled", "retired", "connecting"]);

export function severityOf(state: string): "good" | "quiet" | "bad" {
  if (GOOD.has(state)) return "good";
  return QUIET.has(state) ? "quiet" : "bad";
}

/** Full disc: picture. Ring: waiting or off. Square: a fault. So the state reads without its colour. */
export function CameraDot({ state }: { state: string }) {
  return (
    <span
      className={styles.dot}
      data-severity={severityOf(state)}
      role="img"
      aria-label={stateText(state)}
      title={stateText(state)}
    />
  );
}

export function stateText(state: string, parameters?: Parameters | null): string {
  const seconds = Number(parameters?.seconds);
  return tCode("camera_state", state, { seconds: Number.isFinite(seconds) ? Math.round(seconds) : 0 });
}
