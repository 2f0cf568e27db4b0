/**
 * A small part of ICU MessageFormat: `{name}`, `{count, plural, =0 {…} one {…} other {…}}` and
 * `{kind, select, a {…} other {…}}`, nested as deep as texts need. `#` is the number of the plural.
 */
export type Values = Record<string, string | number>;

type Part =
  | string
  | { name: string }
  | { name: string; kind: "plural" | "select"; options: Map<string, Part[]> };

const parsed = new Map<string, Part[]>();

export function format(message: string, values: Values, language: string): string {
  let parts = parsed.get(message);
  if (!parts) {
    parts = parse(message);
    parsed.set(message, parts);
  }
  return render(parts, values, language, undefined);
}

/** The names of all values that a message uses; the tests compare catalogues by them. */
export function placeholders(message: string): string[] {
  const names = new Set<string>();
  const visit = (parts: Part[]) => {
    for (const part of parts) {
      if (typeof part === "string") continue;
      names.add(part.name);
      if ("options" in part) for (const option of part.options.values()) visit(option);
    }
  };
  visit(parse(message));
  return [...names].sort();
}

function render(parts: Part[], values: Values, language: string, count: number | undefined): string {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") {
      text +=
        count === undefined ? part : part.replaceAll("#", new Intl.NumberFormat(language).format(count));
      continue;
    }
    const value = values[part.name];
    if (!("options" in part)) {
      text += typeof value === "number" ? new Intl.NumberFormat(language).format(value) : (value ?? "");
      continue;
    }
    const chosen =
      part.kind === "plural"
        ? (part.options.get(`=${value}`) ??
          part.options.get(new Intl.PluralRules(language).select(Number(value))))
        : part.options.get(String(value));
    const inner = part.kind === "plural" ? Number(value) : count;
    text += render(chosen ?? part.options.get("other") ?? [], values, language, inner);
  }
  return text;
}

function parse(message: string): Part[] {
  let at = 0;

  const parts = (nested: boolean): Part[] => {
    const list: Part[] = [];
    let text = "";
    while (at < message.length) {
      const character = message[at];
      if (character === "}" && nested) break;
      at += 1;
      if (character !== "{") {
        text += character;
        continue;
      }
      if (text) list.push(text);
      text = "";
      list.push(argument());
    }
    if (text) list.push(text);
    return list;
  };

  const word = (): string => {
    const start = at;
    while (at < message.length && !/[\s,{}]/.test(message[at]!)) at += 1;
    return message.slice(start, at);
  };
  const space = () => {
    while (/\s/.test(message[at] ?? "")) at += 1;
  };
  const expect = (character: string) => {
    if (message[at] !== character) throw new Error(`expected ${character} at ${at} in: ${message}`);
    at += 1;
  };

  const argument = (): Part => {
    space();
    const name = word();
    space();
    if (message[at] === "}") {
      at += 1;
      return { name };
    }
    expect(",");
    space();
    const kind = word();
    if (kind !== "plural" && kind !== "select") throw new Error(`unknown kind ${kind} in: ${message}`);
    space();
    expect(",");
    const options = new Map<string, Part[]>();
    for (space(); message[at] !== "}"; space()) {
      const option = word();
      space();
      expect("{");
      options.set(option, parts(true));
      expect("}");
    }
    expect("}");
    return { name, kind, options };
  };

  return parts(false);
}
