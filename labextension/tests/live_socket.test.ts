import type { ServerConnection } from "@jupyterlab/services";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LiveSocket } from "../src/lab/live_socket.js";
import { PanelModel } from "../src/model.js";
import type { NodeState } from "../src/protocol.js";

/** The browser's end of a WebSocket, whose other end the test plays. */
class FakeSocket {
  static made: FakeSocket[] = [];
  readyState = 0;
  readonly sent: unknown[] = [];
  onopen: () => void = () => undefined;
  onclose: () => void = () => undefined;
  onmessage: (event: { data: string }) => void = () => undefined;

  constructor(readonly url: string) {
    FakeSocket.made.push(this);
  }
  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }
  close(): void {
    this.readyState = 3;
    this.onclose();
  }
  open(): void {
    this.readyState = 1;
    this.onopen();
  }
  hear(message: unknown): void {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

const settings = {
  wsUrl: "ws://host/base/",
  token: "a b",
  appendToken: true,
  WebSocket: FakeSocket as unknown as typeof WebSocket,
} as ServerConnection.ISettings;

const state = (seen: Partial<NodeState>): unknown => ({ kind: "state", seq: 0, state: { ...nothing, ...seen } });
const nothing = { view: "node", now: 5, runs: true, away_since: 0, rows: {}, order: [], jobs: {}, calls: {}, errors: [] };

let latest: () => FakeSocket;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.made = [];
  latest = () => FakeSocket.made.at(-1) as FakeSocket;
  vi.stubGlobal("WebSocket", { OPEN: 1 });
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("it connects below the server's base URL, with the token where the page needs one", () => {
  new LiveSocket(settings);
  expect(latest().url).toBe("ws://host/base/nbactors/api/live?token=a%20b");
});

test("a model is live from the first state on, and follows the changes", () => {
  const model = new PanelModel(new LiveSocket(settings));
  latest().open();
  expect(model.isLive.value).toBe(false);
  latest().hear(state({ order: ["a"] }));
  expect(model.isLive.value).toBe(true);
  latest().hear({ kind: "changes", seq: 1, now: 6, fields: { order: ["a", "b"] }, rows: { b: { id: "b" } }, gone: [] });
  expect(model.state.value).toMatchObject({ now: 6, order: ["a", "b"], rows: { b: { id: "b" } } });
});

test("after a lost connection the last state stays, and a new one is told that the page looks", () => {
  const model = new PanelModel(new LiveSocket(settings));
  latest().open();
  model.look(true);
  latest().hear(state({ order: ["a"] }));
  latest().close();
  expect(model.isLive.value).toBe(false);
  expect(model.state.value).toMatchObject({ order: ["a"] });
  vi.advanceTimersByTime(1000);
  expect(FakeSocket.made).toHaveLength(2);
  latest().open();
  expect(latest().sent).toEqual([{ kind: "look", visible: true }]);
});

test("pauses between attempts grow, so a server without the extension is asked twice a minute at most", () => {
  new LiveSocket(settings);
  for (let attempt = 0; attempt < 10; attempt++) {
    latest().close();
    vi.advanceTimersByTime(30_000);
  }
  const before = FakeSocket.made.length;
  latest().close();
  vi.advanceTimersByTime(29_000);
  expect(FakeSocket.made).toHaveLength(before);
});

test("a disposed socket does not come back", () => {
  const socket = new LiveSocket(settings);
  socket.dispose();
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.made).toHaveLength(1);
});
