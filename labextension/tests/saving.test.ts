import { expect, test } from "vitest";
import { merged, type WidgetStates } from "../src/saving.js";

const PANEL = { _anywidget_id: "nbactors.jupyter.panels.widget.PanelWidget", code: "IPY_MODEL_code", layout: "IPY_MODEL_look" };

function states(models: Record<string, Record<string, unknown>>): WidgetStates {
  const state = Object.fromEntries(Object.entries(models).map(([id, each]) => [id, { state: each }]));
  return { version_major: 2, version_minor: 0, state };
}

const notebook = (...ids: string[]) => () =>
  JSON.stringify({ cells: ids.map((id) => ({ outputs: [{ data: { model_id: id } }] })), metadata: { all: "old gone" } });

test("the living panels are saved with what they refer to, and no other widgets are", () => {
  const living = states({ panel: PANEL, code: { text: "…" }, look: {}, slider: { value: 7 } });
  expect(Object.keys(merged(undefined, living, notebook())?.state ?? {}).sort()).toEqual(["code", "look", "panel"]);
});

test("what others have saved stays", () => {
  const living = states({ panel: PANEL, code: {}, look: {} });
  expect(Object.keys(merged(states({ slider: {} }), living, notebook())?.state ?? {})).toContain("slider");
});

test("a panel of an earlier kernel stays as long as an output shows it", () => {
  const saved = states({ old: { ...PANEL, code: "IPY_MODEL_oldcode" }, gone: PANEL, code: {}, look: {}, oldcode: {} });
  const kept = merged(saved, states({}), notebook("old"));
  expect(Object.keys(kept?.state ?? {}).sort()).toEqual(["look", "old", "oldcode"]);
});

test("a notebook without panels is left as it is", () => {
  expect(merged(states({ slider: {} }), states({}), notebook())).toBeUndefined();
});
