import { expect, test } from "vitest";
import { filtered, heightOf, itemsOf, summary } from "../src/session_rows.js";
import { row, session } from "./widget.js";

const some = [row("a"), row("b", { cls: "Loader", mark: "busy", word: "runs load()" }), row("c")];
const many = Array.from({ length: 40 }, (_, index) => row(`p${index}`));

test("rows stay in the order of creation, within their groups", () => {
  const keys = itemsOf(some, "class", new Set()).map((item) => item.key);
  expect(keys).toEqual(["group Parser", "a", "c", "group Loader", "b"]);
});

test("a row that changes its state stays where it is", () => {
  const busy = some.map((each) => (each.id === "a" ? row("a", { mark: "busy" }) : each));
  expect(itemsOf(busy, "class", new Set()).map((item) => item.key)).toEqual(
    itemsOf(some, "class", new Set()).map((item) => item.key),
  );
});

test("grouped by state, the groups have the states' names", () => {
  const titles = itemsOf(some, "state", new Set()).flatMap((item) => (item.kind === "group" ? [item.title] : []));
  expect(titles).toEqual(["Idle", "Busy"]);
});

test("many actors of a class are a heat map, whose rows show on demand", () => {
  expect(itemsOf(many, "class", new Set()).map((item) => item.kind)).toEqual(["group", "heat"]);
  expect(itemsOf(many, "class", new Set(["Parser"]))).toHaveLength(42);
});

test("a small group can be folded", () => {
  expect(itemsOf(some, "class", new Set(["Parser"])).map((item) => item.key)).toEqual(["group Parser", "group Loader", "b"]);
});

test("the filter looks at name, class and state, without regard to case", () => {
  const state = session(some);
  expect(filtered(state, "LOAD").map((each) => each.id)).toEqual(["b"]);
  expect(filtered(state, " idle ").map((each) => each.id)).toEqual(["a", "c"]);
  expect(filtered(state, "").map((each) => each.id)).toEqual(["a", "b", "c"]);
});

test("the height of a heat map grows with its lines", () => {
  const [, heat] = itemsOf(many, "class", new Set());
  expect(heightOf(heat, 44 + 20 * 12)).toBe(2 * 12 + 14);
  expect(heightOf(heat, 44 + 10 * 12)).toBe(4 * 12 + 14);
});

test("the summary counts the states", () => {
  expect(summary(some)).toBe("2 idle, 1 busy");
});
