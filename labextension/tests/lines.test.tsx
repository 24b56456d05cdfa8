// @vitest-environment happy-dom
import { h, render, type ComponentChild } from "preact";
import { expect, test } from "vitest";
import { BarsPanel } from "../src/bars_panel.js";
import { LinePanel } from "../src/line_panel.js";
import { changed, PanelModel, type WidgetModel } from "../src/model.js";
import type { BarRow, BarsState, LineState, PanelState } from "../src/protocol.js";

const ROW: BarRow = {
  title: "files", tip: "Worker pid=7", mark: "busy", share: 0.3, units: "3/10", since: 100, took: "", rest: "00:14",
  note: "2.00s/it", button: true,
};
const BARS: BarsState = { view: "bars", now: 106, rows: { a: ROW }, order: ["a"] };
const LINE: LineState = {
  view: "line", now: 106, name: "load", mark: "busy", word: "running", since: 100, took: "", note: "", button: "Cancel",
  tip: "",
};

/** Returns the model of a panel with a kernel that keeps what it is asked. */
function modelOf(state: PanelState): { model: PanelModel; sent: Record<string, unknown>[] } {
  const sent: Record<string, unknown>[] = [];
  const widget: WidgetModel = {
    get: () => state,
    set: () => undefined,
    send: (content) => sent.push(content as Record<string, unknown>),
    on: () => undefined,
    off: () => undefined,
  };
  const model = new PanelModel(widget);
  model.isLive.value = true;
  return { model, sent };
}

function drawn(view: ComponentChild): HTMLElement {
  const place = document.createElement("div");
  render(view, place);
  return place;
}

test("a bar shows its share, and its figures as the static form does", () => {
  const { model } = modelOf(BARS);
  model.isLive.value = false;
  const place = drawn(h(BarsPanel, { model, state: BARS }));
  expect(place.querySelector<HTMLElement>(".nba-track > i")?.style.width).toBe("30%");
  expect(place.querySelector(".nba-figures > span")?.textContent).toBe("\u200730%\u20073/10 [00:06<00:14, 2.00s/it]");
});

test("a click beside a bar cancels the call of that bar", () => {
  const { model, sent } = modelOf(BARS);
  drawn(h(BarsPanel, { model, state: BARS })).querySelector("button")?.click();
  expect(sent.at(-1)).toMatchObject({ kind: "do", what: "cancel_bar", row: "a" });
});

test("a bar that has ended has no button and a clock that stands", () => {
  const row = { ...ROW, mark: "done" as const, took: "00:12", rest: "", button: false };
  const state = changed(BARS, { kind: "changes", now: 112, fields: {}, rows: { a: row } }) as BarsState;
  const place = drawn(h(BarsPanel, { model: modelOf(state).model, state }));
  expect(place.querySelector("button")).toBeNull();
  expect(place.textContent).toContain("[00:12, 2.00s/it]");
});

test("a line shows the text of its end in place of its clock and its button", () => {
  const state: LineState = { ...LINE, mark: "done", word: "done", took: "3.2 s", note: "4.9 KiB", button: "" };
  const place = drawn(h(LinePanel, { model: modelOf(state).model, state }));
  expect(place.textContent).toBe("✓doneload3.2 s4.9 KiB");
  expect(place.querySelector("button")).toBeNull();
});

test("a click on a line asks the kernel, and the line tells why it could not be done", async () => {
  const { model, sent } = modelOf(LINE);
  model.do = (command) => {
    sent.push({ ...command });
    return Promise.resolve({ ok: false, text: "The call has ended." });
  };
  const place = drawn(h(LinePanel, { model, state: LINE }));
  place.querySelector("button")?.click();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(sent.at(-1)).toMatchObject({ what: "cancel_line" });
  expect(place.querySelector(".nba-error")?.textContent).toBe("The call has ended.");
});
