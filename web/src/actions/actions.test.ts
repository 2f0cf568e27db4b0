import { describe, expect, it } from "vitest";
import { type Action, actionFor } from "./index";

const action = (id: string, ...keys: string[]): Action => ({
  id,
  keys,
  label: "common.close",
  group: "group.page",
  run: () => undefined,
});

describe("keys", () => {
  const actions = [action("a", "/"), action("b", "k", " "), action("c", "g l"), action("d", "k")];
  it("find the newest action that claims them", () => expect(actionFor(actions, "k")?.id).toBe("d"));
  it("do not mind capitals", () => expect(actionFor(actions, "K")?.id).toBe("d"));
  it("may come in pairs", () => expect(actionFor(actions, "g l")?.id).toBe("c"));
  it("may mean nothing", () => expect(actionFor(actions, "x")).toBeUndefined());
});
