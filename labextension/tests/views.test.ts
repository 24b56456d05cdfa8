// @vitest-environment happy-dom
import { h, render } from "preact";
import { beforeEach, expect, test } from "vitest";
import { PanelModel } from "../src/model.js";
import { Panel } from "../src/panel.js";
import type { News, PanelState } from "../src/protocol.js";
import { actor, FakeWidget, row, session } from "./widget.js";

let place: HTMLElement;

beforeEach(() => {
  document.body.innerHTML = "";
  place = document.createElement("div");
  document.body.append(place);
});

function show(state: PanelState, isLive = true): FakeWidget {
  const widget = new FakeWidget(state);
  const model = new PanelModel(widget);
  render(h(Panel, { model }), place);
  if (isLive) widget.hear({ kind: "changes", now: state.now, fields: {} });
  return widget;
}

/** Waits until Preact has drawn what the last message has changed. */
const drawn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

async function hear(widget: FakeWidget, news: News): Promise<void> {
  widget.hear(news);
  await drawn();
}

function button(name: string): HTMLButtonElement {
  const found = [...place.querySelectorAll("button")].find(
    (each) => (each.getAttribute("aria-label") ?? each.textContent) === name,
  );
  if (found === undefined) throw new Error(`no button ${name} in ${place.textContent}`);
  return found;
}

test("an actor's panel shows what it runs with arguments, and what waits", async () => {
  show(actor());
  await drawn();
  expect(place.textContent).toContain("Simulation · pid 7 · up 1 min");
  expect([...place.querySelectorAll("code")].map((each) => each.textContent)).toEqual(["run(steps=5)", "run(…)"]);
});

test("Cancel asks the kernel for that very call, and takes no second click meanwhile", async () => {
  const widget = show(actor());
  await drawn();
  button("Cancel Simulation.run").click();
  await drawn();
  button("Cancel Simulation.run").click();
  expect(widget.sent.filter((request) => (request as { kind: string }).kind === "do")).toEqual([
    { kind: "do", number: 1, what: "cancel", call: "c1" },
  ]);
  expect(place.textContent).toContain("cancelling …");
});

test("a constructor that runs cannot be cancelled or interrupted: its row offers Kill, which asks first", async () => {
  const state = actor();
  const [first] = state.calls;
  if (first === undefined) throw new Error("no call");
  const widget = show({ ...state, mark: "starting", calls: [{ ...first, name: "Simulation.__init__", creation: true }] });
  await drawn();
  expect(button("Interrupt").disabled).toBe(true);
  button("Kill, since Simulation.__init__ cannot be cancelled").click();
  await drawn();
  button("End it").click();
  expect(widget.sent.filter((request) => (request as { kind: string }).kind === "do")).toEqual([
    { kind: "do", number: 1, what: "kill", actor: state.id },
  ]);
});

test("what does not work is told with its reason", async () => {
  const widget = show(actor());
  await drawn();
  button("Interrupt").click();
  await hear(widget, { kind: "answer", number: 1, ok: false, text: "ValueError: it is gone" });
  expect(place.textContent).toContain("ValueError: it is gone");
});

test("a detached actor is ended only after its name was typed", async () => {
  const widget = show(actor({ detached: true }));
  await drawn();
  button("Kill").click();
  await drawn();
  expect(button("End it").disabled).toBe(true);
  const input = place.querySelector<HTMLInputElement>(".nba-question input");
  if (input === null) throw new Error("no input");
  input.value = "sim";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  await drawn();
  button("End it").click();
  await drawn();
  expect(widget.sent.at(-1)).toEqual({ kind: "do", number: 1, what: "kill", actor: "ab" });
});

test("a saved state says so, and its buttons do nothing", async () => {
  show(actor(), false);
  await drawn();
  expect(place.textContent).toContain("its kernel does not run any more");
  expect([...place.querySelectorAll("button")].every((each) => each.disabled)).toBe(true);
});

test("a panel whose kernel ends or restarts shows its last state as such", async () => {
  const widget = show(actor());
  await drawn();
  expect(place.textContent).not.toContain("its kernel does not run");
  widget.disconnect();
  await drawn();
  expect(place.textContent).toContain("its kernel does not run any more");
});

test("a session's panel without actors says how to start one", async () => {
  show(session([]));
  await drawn();
  expect(place.textContent).toContain("%%actor name");
});

test("a session without a node says so", async () => {
  show(session([], { runs: false }));
  await drawn();
  expect(place.textContent).toContain("no node runs");
});

test("a heat map stands for many actors of a class, and tells their states to screen readers", async () => {
  show(session(Array.from({ length: 100 }, (_, index) => row(`p${index}`, index < 7 ? { mark: "busy" } : {}))));
  await drawn();
  const header = place.querySelector(".nba-head")?.textContent;
  expect(header).toContain("7 busy, 93 idle");
});
