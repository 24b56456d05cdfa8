import { URLExt } from "@jupyterlab/coreutils";
import type { ServerConnection } from "@jupyterlab/services";
import type { WidgetModel } from "../model.js";
import type { News, NodeState, Whole } from "../protocol.js";

/** Pauses before a new attempt to connect, in milliseconds: it doubles from one to the other. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** What is known before the server has said anything. */
export const NOTHING: NodeState = {
  view: "node",
  now: 0,
  runs: false,
  away_since: 0,
  rows: {},
  order: [],
  jobs: {},
  calls: {},
  cpu: [0, 0],
  memory: [0, 0],
  store: [0, 0],
  errors: [],
};

type Callback = (...args: never[]) => void;

/**
 * The WebSocket of the server extension, in the form of a widget's model, so that one `PanelModel` serves both.
 *
 * It connects again by itself. A server without the extension refuses; then attempts go on at long pauses.
 */
export class LiveSocket implements WidgetModel {
  private state: NodeState = NOTHING;
  private readonly callbacks = new Map<string, Set<Callback>>();
  private socket: WebSocket | undefined;
  private pause = FIRST_PAUSE_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isDisposed = false;
  /** Whether a view is visible; a new connection is told. */
  private look: unknown;

  constructor(private readonly settings: ServerConnection.ISettings) {
    this.connect();
  }

  get(): unknown {
    return this.state;
  }

  set(_name: string, value: unknown): void {
    this.state = value as NodeState;
    this.call("change:state");
  }

  /** Sends a request. Throws an error if there is no connection. */
  send(content: unknown): void {
    const kind = (content as { kind: string }).kind;
    if (kind === "hello") return; // the server sends the state unasked
    if (kind === "look") this.look = content;
    if (this.socket?.readyState !== WebSocket.OPEN) throw new Error("no connection");
    this.socket.send(JSON.stringify(content));
  }

  on(event: string, callback: Callback): void {
    this.callbacks.set(event, (this.callbacks.get(event) ?? new Set()).add(callback));
  }

  off(event: string, callback: Callback): void {
    this.callbacks.get(event)?.delete(callback);
  }

  /** Ends the connection for good. */
  dispose(): void {
    this.isDisposed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private call(event: string, ...args: unknown[]): void {
    for (const callback of [...(this.callbacks.get(event) ?? [])]) callback(...(args as never[]));
  }

  private connect(): void {
    const { wsUrl, token, appendToken, WebSocket: Socket } = this.settings;
    const query = appendToken && token !== "" ? `?token=${encodeURIComponent(token)}` : "";
    const socket = (this.socket = new Socket(URLExt.join(wsUrl, "nbactors/api/live") + query));
    socket.onopen = () => {
      this.pause = FIRST_PAUSE_MS;
      if (this.look !== undefined) socket.send(JSON.stringify(this.look));
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.hear(JSON.parse(event.data) as Whole | News);
    };
    socket.onclose = () => {
      this.call("comm_live_update");
      if (this.isDisposed) return;
      this.timer = setTimeout(() => {
        this.connect();
      }, this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
    };
  }

  private hear(message: Whole | News): void {
    if (message.kind !== "state") {
      this.call("msg:custom", message);
      return;
    }
    this.set("state", message.state);
    this.call("msg:custom", { kind: "changes", now: message.state.now, fields: {} } satisfies News);
  }
}
