import { expect, test } from "vitest";
import { nodeItems, totals } from "../src/node_rows.js";
import type { NodeState } from "../src/protocol.js";
import { heightOf } from "../src/session_rows.js";
import { call, job, node, nodeRow } from "./node.js";

const keys = (state: NodeState, filter = "", folded: string[] = []): string[] =>
  nodeItems(state, filter, new Set(folded)).map((item) => item.key);

test("detached actors stand on top, then each notebook with its actors and its calls", () => {
  const state = node(
    [nodeRow("a", "1"), nodeRow("d", "", { detached: true }), nodeRow("b", "2")],
    { 1: job("one.ipynb"), 2: job("two.ipynb") },
    [call("c", "1")],
  );
  expect(keys(state)).toEqual(["group Detached", "d", "group one.ipynb", "a", "c", "group two.ipynb", "b"]);
});

test("a notebook that has only calls shows them, and one that has nothing does not show", () => {
  const state = node([], { 1: job("one.ipynb"), 2: job("two.ipynb") }, [call("c", "1")]);
  expect(keys(state)).toEqual(["group one.ipynb", "c"]);
  expect(keys(state, "", ["one.ipynb"])).toEqual(["group one.ipynb"]);
});

test("two notebooks of the same name are two groups", () => {
  const state = node([nodeRow("a", "1"), nodeRow("b", "2")], { 1: job("x.ipynb"), 2: job("x.ipynb") });
  expect(keys(state)).toEqual(["group x.ipynb", "a", "group x.ipynb (2)", "b"]);
});

test("the filter looks at actors and at calls", () => {
  const state = node([nodeRow("a", "1"), nodeRow("b", "1")], { 1: job("x.ipynb") }, [call("c", "1", "train"), call("e", "1", "b")]);
  expect(keys(state, "b")).toEqual(["group x.ipynb", "b", "e"]);
});

test("the totals count the living", () => {
  const state = node([nodeRow("a", "1", { mark: "busy" }), nodeRow("b", "1", { mark: "failed" }), nodeRow("c", "1")], {});
  expect(totals(state)).toEqual({ actors: 2, busy: 1, failed: 1 });
});

test("the selected row of a narrow list has room for its buttons", () => {
  const item = { kind: "row", key: "a", row: nodeRow("a", "1") } as const;
  expect([heightOf(item, 250, true), heightOf(item, 250), heightOf(item, 900, true)]).toEqual([56, 28, 28]);
});
