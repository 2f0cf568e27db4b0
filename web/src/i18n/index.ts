/**
 * Languages: which one is in use, its catalogue, and the functions that put values into words.
 *
 * English defines the keys; another language is one more file and one more row in `LANGUAGES`.
 */
import { useSyncExternalStore } from "react";
import { type Catalogue, en, type Key } from "./en";
import { format, type Values } from "./message";

export type { Key } from "./en";

export const LANGUAGES = {
  en: { name: "English", load: async (): Promise<Catalogue> => en },
  de: { name: "Deutsch", load: async (): Promise<Catalogue> => (await import("./de")).de },
} as const;

export type Language = keyof typeof LANGUAGES;

const STORE = "varde.language";

let language: Language = "en";
let catalogue: Catalogue = en;
const listeners = new Set<() => void>();

function isLanguage(value: string | null | undefined): value is Language {
  return value !== null && value !== undefined && value in LANGUAGES;
}

function preferred(): Language {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(STORE);
  } catch {
    // Storage may be forbidden; the browser's own preference decides.
  }
  if (isLanguage(stored)) return stored;
  for (const tag of navigator.languages) {
    const base = tag.split("-")[0];
    if (isLanguage(base)) return base;
  }
  return "en";
}

async function apply(next: Language): Promise<void> {
  catalogue = await LANGUAGES[next].load();
  language = next;
  document.documentElement.lang = next;
  for (const listener of listeners) listener();
}

/** Loads the preferred language before the first paint. */
export function startLanguage(): Promise<void> {
  return apply(preferred());
}

export function setLanguage(next: Language): Promise<void> {
  try {
    localStorage.setItem(STORE, next);
  } catch {
    // The choice then lasts for this visit.
  }
  return apply(next);
}

export function currentLanguage(): Language {
  return language;
}

/** The locale for dates and numbers: the browser's variant of the language where it has one. */
export function locale(): string {
  return navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;
}

export function t(key: Key, values: Values = {}): string {
  return format(catalogue[key], values, language);
}

/** The text of a code from a closed list, or the code itself where it is newer than this client. */
export function tCode(prefix: string, code: string | null | undefined, values: Values = {}): string {
  const key = `${prefix}.${code ?? "unknown"}`;
  return key in catalogue ? t(key as Key, values) : (code ?? "");
}

export function hasKey(key: string): key is Key {
  return key in catalogue;
}

/** Re-renders a component when the language changes. */
export function useLanguage(): Language {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => language,
  );
}
