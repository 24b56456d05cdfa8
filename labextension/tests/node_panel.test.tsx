// @vitest-environment happy-dom
import { render } from "preact";
import { beforeEach, expect, test } from "vitest";
import { CallBar } from "../src/actor_list.js";
import { PanelModel } from "../src/model.js";
import { type Host, NodePanel } from "../src/node_panel.js";
import type { NodeRow, NodeState } from "../src/protocol.js";
import { job, node, nodeRow } from "./node.js";
import { FakeWidget } from "./widget.js";

let place: HTMLElement;
let asked: string[];

const host: Host = {
  attach: (name) => {
    asked.push(`attach ${name}`);
    return Promise.resolve("");
  },
  reveal: (of, cellId) => {
    asked.push(`reveal ${of.title} ${cellId}`);
  },
};

beforeEach(() => {
  document.body.innerHTML = "";
  place = document.createElement("div");
  document.body.append(place);
  asked = [];
});

async function show(state: NodeState, isLive = true): Promise<FakeWidget> {
  const widget = new FakeWidget(state);
  const model = new PanelModel(widget);
  if (isLive) widget.hear({ kind: "changes", now: state.now, fields: {} });
  render(<NodePanel model={model} state={state} host={host} />, place);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return widget;
}

test("without actors it says how to start one", async () => {
  await show(node([], {}));
  expect(place.textContent).toContain("No actors");
  expect(place.textContent).toContain("%%actor name in a cell starts the first actor.");
});

test("a node that has ended leaves its last state, and its age", async () => {
  await show({ ...node([nodeRow("a", "1")], { 1: job("x.ipynb") }), runs: false, away_since: 88 });
  expect(place.textContent).toContain("The node has ended. Last state, 12 s ago.");
  expect(place.querySelector(".nba-away")).not.toBeNull();
});

test("a call has its progress bar, or what its bar says where it is not known how much is to do", () => {
  render(<CallBar name="cell 5" bar={{ title: "", share: 0.257, text: "257/1000" }} />, place);
  const drawn = place.querySelector('[role="progressbar"]');
  expect(drawn?.getAttribute("aria-valuenow")).toBe("25");
  expect(drawn?.getAttribute("aria-label")).toBe("cell 5");
  expect(place.textContent).toBe("25%");
  render(<CallBar name="cell 5" bar={{ title: "epochs", share: null, text: "30it [00:02]" }} />, place);
  expect(place.textContent).toBe("30it [00:02]");
});

test("a server that does not answer leaves the last state, too", async () => {
  await show(node([nodeRow("a", "1")], { 1: job("x.ipynb") }), false);
  expect(place.textContent).toContain("The Jupyter server does not answer.");
});

test("the selected actor's cell is shown, with the keyboard as with a click", async () => {
  const rows = [nodeRow("a", "1", { cell_id: "c1" }), nodeRow("b", "1"), nodeRow("d", "", { detached: true })];
  await show(node(rows, { 1: job("x.ipynb") }));
  const list = place.querySelector(".nba-rows");
  for (let press = 0; press < 3; press++) {
    list?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(asked).toEqual(["reveal x.ipynb c1"]);
});

/** Shows an actor, selects it, and shows it again as it is later. */
async function selected(before: Partial<NodeRow>, later: Partial<NodeRow>, seconds = 1): Promise<void> {
  const jobs = { 1: job("x.ipynb") };
  const shown = (changes: Partial<NodeRow>) => node([nodeRow("a", "1", changes)], jobs);
  await show(shown(before));
  place.querySelector(".nba-rows")?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await show({ ...shown(later), now: 100 + seconds });
}

test("the selection of an actor whose cell is not known yet leads there as soon as it is", async () => {
  await selected({ mark: "busy", cell_id: "" }, { mark: "busy", cell_id: "c1" });
  expect(asked).toEqual(["reveal x.ipynb c1"]);
});

test("a selection leads to no cell that is known much later", async () => {
  await selected({ mark: "busy", cell_id: "" }, { mark: "busy", cell_id: "c1" }, 60);
  expect(asked).toEqual([]);
});

test("the selection of an actor that has not been called leads to no call that comes", async () => {
  await selected({ mark: "idle", cell_id: "" }, { mark: "busy", cell_id: "c1" });
  expect(asked).toEqual([]);
});

test("a selection leads to the cell once", async () => {
  await selected({ mark: "busy", cell_id: "c1" }, { mark: "busy", cell_id: "c2" });
  expect(asked).toEqual(["reveal x.ipynb c1"]);
});
