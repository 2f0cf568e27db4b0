/**
 * Every command once: buttons, shortcuts, the palette and the help page all read this list.
 *
 * A page registers its actions while it is open; the newest registration of a key wins.
 */
import { useEffect, useRef, useSyncExternalStore } from "react";
import type { Role } from "../data/api";
import type { Key } from "../i18n";

export interface Action {
  id: string;
  label: Key;
  /** `KeyboardEvent.key`, with `Shift+` before a named one, or two keys in a row: `g l`. */
  keys?: string[];
  group: Key;
  /** The role that it takes; `viewer` where nothing is said. */
  needs?: Role;
  run(event?: KeyboardEvent): void;
}

let registered: Action[][] = [];
let flat: Action[] = [];
const listeners = new Set<() => void>();

function publish(next: Action[][]): void {
  registered = next;
  flat = registered.flat();
  for (const listener of listeners) listener();
}

/** Registers actions for as long as the component lives. */
export function useActions(actions: Action[]): void {
  const latest = useRef(actions);
  latest.current = actions;
  const signature = actions.map((action) => action.id).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: `run` is read through the ref, only the list matters.
  useEffect(() => {
    const own = latest.current.map((action) => ({
      ...action,
      run: (event?: KeyboardEvent) => latest.current.find((other) => other.id === action.id)?.run(event),
    }));
    publish([...registered, own]);
    return () => publish(registered.filter((list) => list !== own));
  }, [signature]);
}

export function useRegisteredActions(): Action[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => flat,
  );
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [role=combobox]")
  );
}

/** Keys that a focused control uses itself. */
function taken(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (key === " " || key === "Enter") return target.matches("button, a, [role=button], [role=switch], input");
  if (key.startsWith("Arrow"))
    return target.closest("[role=menu], [role=radiogroup], [role=listbox]") !== null;
  return false;
}

export function keyOf(event: KeyboardEvent): string {
  const named = event.key.length > 1 || event.key === " ";
  return event.shiftKey && named ? `Shift+${event.key}` : event.key;
}

/** Finds the action of a key press; pure, so that tests can ask. */
export function actionFor(actions: Action[], key: string): Action | undefined {
  const lower = key.length === 1 ? key.toLowerCase() : key;
  return actions.findLast((action) => action.keys?.some((item) => item === key || item === lower));
}

/** Two keys in a row must come within this time. */
const SEQUENCE_MS = 1_000;

export function listenToKeys(allowed: (action: Action) => boolean): () => void {
  let first: { key: string; at: number } | undefined;
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // A dialog keeps its keys to itself.
    if (typing(event.target) || document.querySelector("[role=dialog]")) return;
    const key = keyOf(event);
    if (taken(event.target, event.key)) return;
    const pair = first && event.timeStamp - first.at < SEQUENCE_MS ? `${first.key} ${key}` : undefined;
    const action = (pair && actionFor(flat, pair)) || actionFor(flat, key);
    first = { key, at: event.timeStamp };
    if (!action || !allowed(action)) return;
    first = undefined;
    event.preventDefault();
    action.run(event);
  };
  window.addEventListener("keydown", onKey);
  return () => window.removeEventListener("keydown", onKey);
}
