import type { WidgetModel } from "../src/model.js";
import type { ActorState, News, Row, SessionState } from "../src/protocol.js";

/** A widget's model in the front end, without a kernel: it keeps what the panel sends. */
export class FakeWidget implements WidgetModel {
  readonly sent: unknown[] = [];
  private readonly callbacks = new Map<string, Set<(...args: never[]) => void>>();

  constructor(private state: unknown) {}

  get(): unknown {
    return this.state;
  }
  set(_name: string, value: unknown): void {
    this.state = value;
    this.call("change:state");
  }
  send(content: unknown): void {
    this.sent.push(content);
  }
  on(event: string, callback: (...args: never[]) => void): void {
    this.callbacks.set(event, (this.callbacks.get(event) ?? new Set()).add(callback));
  }
  off(event: string, callback: (...args: never[]) => void): void {
    this.callbacks.get(event)?.delete(callback);
  }
  /** Lets a message of the kernel come in. */
  hear(news: News): void {
    this.call("msg:custom", news);
  }
  /** Lets the connection to the kernel end. */
  disconnect(): void {
    this.call("comm_live_update");
  }
  private call(event: string, ...args: unknown[]): void {
    for (const callback of this.callbacks.get(event) ?? []) (callback as (...args: unknown[]) => void)(...args);
  }
}

export function row(id: string, more: Partial<Row> = {}): Row {
  return { id, name: id, cls: "Parser", mark: "idle", word: "idle", since: 0, memory: 1, failed: 0, detached: false, ...more };
}

export function session(rows: Row[], more: Partial<SessionState> = {}): SessionState {
  return {
    view: "session",
    now: 1000,
    title: "a.ipynb",
    runs: true,
    rows: Object.fromEntries(rows.map((each) => [each.id, each])),
    order: rows.map((each) => each.id),
    cpu: [1, 2],
    memory: [1, 4],
    store: [0, 1],
    errors: [],
    ...more,
  };
}

export function actor(more: Partial<ActorState> = {}): ActorState {
  return {
    view: "actor",
    now: 1000,
    id: "ab",
    name: "sim",
    cls: "Simulation",
    detached: false,
    pid: 7,
    since: 900,
    restarts: 0,
    mark: "busy",
    word: "runs run()",
    cause: "",
    groups: [{ name: "_default", size: 1, running: ["c1"], queued: 1 }],
    calls: [
      { id: "c1", name: "Simulation.run", group: "_default", mark: "busy", word: "runs", since: 990, args: [["steps", "5"]], cell: "In[2]", creation: false },
      { id: "c2", name: "Simulation.run", group: "_default", mark: "queued", word: "queued", since: 991, args: null, cell: "In[2]", creation: false },
    ],
    queued: 1,
    done: 3,
    failed: 0,
    cpu: [1, 2],
    memory: [10, 20],
    log: ["t = 1"],
    error: null,
    ...more,
  };
}
