/** The address bar as state: paths, and search parameters that pages read and write. */
import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let snapshot = read();

function read() {
  return { path: window.location.pathname, search: new URLSearchParams(window.location.search) };
}

function changed(): void {
  snapshot = read();
  for (const listener of listeners) listener();
}

window.addEventListener("popstate", changed);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useLocation() {
  return useSyncExternalStore(subscribe, () => snapshot);
}

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const here = window.location.pathname + window.location.search;
  if (to === here) return;
  window.history[options.replace ? "replaceState" : "pushState"](null, "", to);
  changed();
}

/** Sets or, with `null`, removes search parameters of the present page. */
export function setSearch(patch: Record<string, string | null>, options: { replace?: boolean } = {}): void {
  const search = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === "") search.delete(name);
    else search.set(name, value);
  }
  // Commas and colons are legible in a query and need no escape.
  const text = search.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  navigate(window.location.pathname + (text ? `?${text}` : ""), { replace: options.replace ?? true });
}
