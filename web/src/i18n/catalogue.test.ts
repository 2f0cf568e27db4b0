import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { de } from "./de";
import { en } from "./en";
import { format, placeholders } from "./message";

/** The closed lists as the server defines them, and the prefix of their texts. */
const CODES = new URL("../../../crates/api/public/src/codes.rs", import.meta.url);
const PREFIXES: Record<string, string> = {
  GapCause: "gap",
  CameraState: "camera_state",
  StorageState: "storage_state",
  EventType: "event",
  ProblemCode: "problem",
};

function closedLists(): Record<string, string[]> {
  const source = readFileSync(CODES, "utf8");
  const lists: Record<string, string[]> = {};
  for (const [, body = ""] of source.matchAll(/^codes! \{([\s\S]*?)^\}/gm)) {
    const name = /^\s*([A-Z]\w+) \{/m.exec(body)?.[1];
    if (name) lists[name] = [...body.matchAll(/\w+ = "([^"]+)",/g)].map((match) => match[1] ?? "");
  }
  return lists;
}

describe("catalogues", () => {
  it("have the same keys", () => {
    expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  });

  it("use the same values in each text", () => {
    for (const [key, text] of Object.entries(en)) {
      expect(placeholders(de[key as keyof typeof de]), key).toEqual(placeholders(text));
    }
  });

  it("leave no text empty where English has one", () => {
    for (const [key, text] of Object.entries(en)) {
      if (text) expect(de[key as keyof typeof de], key).not.toBe("");
    }
  });

  it("have a text for every code of every closed list", () => {
    const lists = closedLists();
    expect(Object.keys(lists).sort()).toEqual(Object.keys(PREFIXES).sort());
    for (const [name, codes] of Object.entries(lists)) {
      expect(codes.length, name).toBeGreaterThan(0);
      for (const code of codes) {
        expect(en, `${name} in English`).toHaveProperty([`${PREFIXES[name]}.${code}`]);
        expect(de, `${name} in German`).toHaveProperty([`${PREFIXES[name]}.${code}`]);
      }
    }
  });
});

describe("messages", () => {
  const check = (
    message: string,
    values: Record<string, string | number>,
    language: string,
    expected: string,
  ) => expect(format(message, values, language)).toBe(expected);

  it("put in values", () =>
    check("{name} is {state}", { name: "Gate", state: "well" }, "en", "Gate is well"));
  it("keep markup as text", () => check("{name}", { name: "<b>{x}</b>" }, "en", "<b>{x}</b>"));
  it("choose plurals", () => {
    const text = "{count, plural, =0 {none} one {# camera} other {# cameras}}";
    check(text, { count: 0 }, "en", "none");
    check(text, { count: 1 }, "en", "1 camera");
    check(text, { count: 1200 }, "en", "1,200 cameras");
    check(text, { count: 1200 }, "de", "1.200 cameras");
  });
  it("nest", () => {
    const text = "{kind, select, a {{count, plural, one {one {x}} other {# {x}}}} other {?}}";
    check(text, { kind: "a", count: 2, x: "y" }, "en", "2 y");
    check(text, { kind: "b", count: 2, x: "y" }, "en", "?");
  });
  it("refuse what is no message", () => {
    expect(() => format("{a, unknown, b {c}}", {}, "en")).toThrow();
  });
});
