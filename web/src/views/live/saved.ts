/** Saved walls, on this device for now. */
import { useSyncExternalStore } from "react";

export interface SavedView {
  name: string;
  /** The search part of the address. */
  search: string;
}

const STORE = "varde.views";
const VIEWS_MAX = 50;
const listeners = new Set<() => void>();
let views: SavedView[] = read();

function read(): SavedView[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    if (!Array.isArray(value)) return [];
    return value.filter(
      (item): item is SavedView => typeof item?.name === "string" && typeof item?.search === "string",
    );
  } catch {
    return [];
  }
}

function write(next: SavedView[]): void {
  views = next.slice(-VIEWS_MAX);
  try {
    localStorage.setItem(STORE, JSON.stringify(views));
  } catch {
    // The views then last for this visit.
  }
  for (const listener of listeners) listener();
}

export function useSavedViews(): SavedView[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => views,
  );
}

export function saveView(view: SavedView): void {
  write([...views.filter((item) => item.name !== view.name), view]);
}

export function removeView(name: string): SavedView[] {
  const before = views;
  write(views.filter((item) => item.name !== name));
  return before;
}

export function restoreViews(before: SavedView[]): void {
  write(before);
}
