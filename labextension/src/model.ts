import { signal, type Signal } from "@preact/signals";
import type { Answer, Changes, Command, News, PanelState, Request } from "./protocol.js";

/** What a panel needs of an anywidget model. */
export interface WidgetModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  send(content: unknown): void;
  on(event: string, callback: (...args: never[]) => void): void;
  off(event: string, callback: (...args: never[]) => void): void;
  /** Whatever manages the widgets of the page. */
  widget_manager?: unknown;
}

/** How long the kernel may take to answer a command, in milliseconds. */
const ANSWER_MS = 60_000;

/** Which field of a state is a table, whose rows change one by one. */
const TABLES: Record<string, string> = { session: "rows", node: "rows", bars: "rows", trace: "spans" };

/** Returns a state with the changes applied; the old state stays as it is. */
export function changed(state: PanelState, changes: Changes): PanelState {
  const next: Record<string, unknown> = { ...state, ...changes.fields, now: changes.now };
  const table = TABLES[state.view];
  if (table !== undefined && (changes.rows !== undefined || changes.gone !== undefined)) {
    const rows = { ...(next[table] as Record<string, unknown>), ...changes.rows };
    for (const id of changes.gone ?? []) Reflect.deleteProperty(rows, id);
    next[table] = rows;
  }
  return next as unknown as PanelState;
}

/**
 * The state of one panel, and its line to the kernel. All views of a panel share it.
 *
 * Without a kernel the state is the last one that the notebook has saved, and `isLive` stays false.
 */
export class PanelModel {
  readonly state: Signal<PanelState>;
  /** Whether a kernel has sent something since the page was loaded. */
  readonly isLive: Signal<boolean> = signal(false);
  /** Seconds by which the page's clock is ahead of the kernel's. */
  private skew = 0;
  private commands = 0;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private visible = 0;

  constructor(private readonly widget: WidgetModel) {
    this.state = signal(widget.get("state") as PanelState);
    widget.on("msg:custom", this.onNews);
    widget.on("change:state", this.onState);
    // The kernel has ended or restarts. A message of the same widget shows that it lives.
    widget.on("comm_live_update", () => {
      this.isLive.value = false;
    });
    this.tell({ kind: "hello" });
  }

  /** Returns the time by the kernel's clock; for a saved state, the time at which it was saved. */
  now(): number {
    return this.isLive.value ? Date.now() / 1000 - this.skew : this.state.value.now;
  }

  /** Asks the kernel to do something, and returns its answer, or says that there was none. */
  do(command: Command): Promise<Answer> {
    const number = ++this.commands;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.waiting.delete(number);
        resolve({ ok: false, text: "The other side has not answered within a minute. A busy kernel may answer later." });
      }, ANSWER_MS);
      this.waiting.set(number, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.tell({ kind: "do", number, ...command });
    });
  }

  /** Notes that one more view, or one less, is visible. The kernel sends changes while one is. */
  look(isVisible: boolean): void {
    this.visible += isVisible ? 1 : -1;
    this.tell({ kind: "look", visible: this.visible > 0 });
  }

  /** Tells the kernel again that a view is visible: it stops when it is not told for a while. */
  keepLooking(): void {
    if (this.visible > 0) this.tell({ kind: "look", visible: true });
  }

  private tell(request: Request): void {
    try {
      this.widget.send(request);
    } catch {
      // The notebook has no kernel.
    }
  }

  private readonly onState = (): void => {
    this.state.value = this.widget.get("state") as PanelState;
  };

  private readonly onNews = (news: News): void => {
    if (news.kind === "answer") {
      this.waiting.get(news.number)?.(news);
      this.waiting.delete(news.number);
      return;
    }
    this.skew = Date.now() / 1000 - news.now;
    this.isLive.value = true;
    const state = changed(this.state.value, news);
    this.state.value = state;
    // A notebook is saved with the widget's state. Nothing is sent: the kernel has the state already.
    this.widget.off("change:state", this.onState);
    this.widget.set("state", state);
    this.widget.on("change:state", this.onState);
  };
}
