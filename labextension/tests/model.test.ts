import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { changed, PanelModel } from "../src/model.js";
import type { SessionState } from "../src/protocol.js";
import { actor, FakeWidget, row, session } from "./widget.js";

beforeEach(() => vi.useFakeTimers({ now: 2_000_000 }));
afterEach(() => vi.useRealTimers());

test("changes replace fields, and rows one by one", () => {
  const before = session([row("a"), row("b")]);
  const after = changed(before, {
    kind: "changes",
    now: 1001,
    fields: { order: ["b", "c"] },
    rows: { b: row("b", { mark: "busy" }), c: row("c") },
    gone: ["a"],
  }) as SessionState;
  expect(after.order).toEqual(["b", "c"]);
  expect(Object.keys(after.rows).sort()).toEqual(["b", "c"]);
  expect(after.rows.b?.mark).toBe("busy");
  expect(after.now).toBe(1001);
  expect(before.rows.a?.mark).toBe("idle");
});

test("a new panel says hello, and shows the saved state until the kernel sends something", () => {
  const widget = new FakeWidget(actor());
  const model = new PanelModel(widget);
  expect(widget.sent).toEqual([{ kind: "hello" }]);
  expect(model.isLive.value).toBe(false);
  expect(model.now()).toBe(1000);
  widget.hear({ kind: "changes", now: 1500, fields: {} });
  expect(model.isLive.value).toBe(true);
});

test("the time goes on by the kernel's clock, whatever the page's clock says", () => {
  const widget = new FakeWidget(actor());
  const model = new PanelModel(widget);
  widget.hear({ kind: "changes", now: 1500, fields: {} });
  vi.advanceTimersByTime(3000);
  expect(model.now()).toBeCloseTo(1503, 3);
});

test("the widget has the latest state, so that it is saved with the notebook", () => {
  const widget = new FakeWidget(actor());
  const model = new PanelModel(widget);
  widget.hear({ kind: "changes", now: 1001, fields: { done: 4 } });
  expect(widget.get()).toBe(model.state.value);
  expect(widget.get()).toMatchObject({ done: 4, name: "sim" });
});

test("a command gets its own answer", async () => {
  const widget = new FakeWidget(actor());
  const model = new PanelModel(widget);
  const first = model.do({ what: "stack", actor: "ab" });
  const second = model.do({ what: "log", actor: "ab" });
  expect(widget.sent.slice(1)).toEqual([
    { kind: "do", number: 1, what: "stack", actor: "ab" },
    { kind: "do", number: 2, what: "log", actor: "ab" },
  ]);
  widget.hear({ kind: "answer", number: 2, ok: true, text: "lines" });
  widget.hear({ kind: "answer", number: 1, ok: false, text: "it is dead" });
  expect(await first).toMatchObject({ ok: false, text: "it is dead" });
  expect(await second).toMatchObject({ ok: true, text: "lines" });
});

test("a command that is never answered ends with a reason", async () => {
  const model = new PanelModel(new FakeWidget(actor()));
  const answer = model.do({ what: "interrupt", actor: "ab" });
  vi.advanceTimersByTime(60_000);
  expect(await answer).toMatchObject({ ok: false, text: expect.stringContaining("has not answered") as string });
});

test("the kernel hears once when the first view appears, and when the last one goes", () => {
  const widget = new FakeWidget(actor());
  const model = new PanelModel(widget);
  model.look(true);
  model.look(true);
  model.look(false);
  model.keepLooking();
  model.look(false);
  model.keepLooking();
  const looks = widget.sent.slice(1).map((request) => (request as { visible: boolean }).visible);
  expect(looks).toEqual([true, true, true, true, false]);
});
