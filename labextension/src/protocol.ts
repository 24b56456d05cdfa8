/**
 * What the kernel and a panel send each other. The kernel's side is `nbactors/jupyter/panels`.
 *
 * The kernel puts a whole state into the widget's trait `state`, and then sends what has changed. Times are seconds
 * since 1970, by the kernel's clock.
 */

/** The states of an actor or a call. */
export type Mark =
  | "idle"
  | "busy"
  | "queued"
  | "waiting"
  | "starting"
  | "restarting"
  | "paused"
  | "done"
  | "failed"
  | "cancelled"
  | "ended";

export interface CallState {
  id: string;
  name: string;
  group: string;
  mark: Mark;
  /** What the state means for the reader, such as "waits for 2 CPU". */
  word: string;
  since: number;
  /** Names and texts of the arguments; null until the worker has told them. */
  args: [string, string][] | null;
  cell: string;
  /** Whether it is the constructor, which cannot be cancelled: only the actor can be ended. */
  creation: boolean;
}

export interface GroupState {
  name: string;
  size: number;
  running: string[];
  queued: number;
}

/** The latest error of an actor's call. */
export interface ErrorState {
  /** The line that names the exception. */
  what: string;
  text: string;
  call: string;
}

export interface ActorState {
  view: "actor";
  now: number;
  id: string;
  name: string;
  cls: string;
  detached: boolean;
  pid: number;
  since: number;
  restarts: number;
  mark: Mark;
  word: string;
  cause: string;
  groups: GroupState[];
  calls: CallState[];
  queued: number;
  done: number;
  failed: number;
  /** Per cent of a core, one figure a second. */
  cpu: number[];
  /** Bytes, one figure a second. */
  memory: number[];
  /** The last lines of the log. */
  log: string[];
  error: ErrorState | null;
}

/** An actor in the table of a session: short names, since a session may have thousands. */
export interface Row {
  id: string;
  name: string;
  cls: string;
  mark: Mark;
  word: string;
  since: number;
  memory: number;
  failed: number;
  detached: boolean;
}

export interface SessionState {
  view: "session";
  now: number;
  title: string;
  /** Whether a node runs. */
  runs: boolean;
  rows: Record<string, Row>;
  /** The ids of the rows, in the order of creation. */
  order: string[];
  cpu: [number, number];
  memory: [number, number];
  store: [number, number];
  errors: { text: string; count: number }[];
}

/** The notebook, or the script, that a session belongs to. */
export interface JobState {
  title: string;
  /** The notebook's path as the Jupyter server knows it; empty for a script, or a kernel that is not the server's. */
  path: string;
  kernel_id: string;
  pid: number;
  is_alive: boolean;
}

/** An actor in the table of a node. */
export interface NodeRow extends Row {
  /** The id of the job that it belongs to; empty for a detached actor. */
  job: string;
  /** The id of the cell whose call it runs, or has run last; empty if it is not known. */
  cell_id: string;
}

/** A call that no actor has: a cell in the background, or a task. */
export interface JobCall extends CallState {
  job: string;
  cell_id: string;
  /** The call's progress bar, null if it has none. */
  bar: { title: string; share: number | null; text: string } | null;
}

/** Everything that runs on the user's node, whichever kernel has started it. */
export interface NodeState {
  view: "node";
  now: number;
  runs: boolean;
  /** When the node was last seen; 0 while it runs, and if none was ever seen. */
  away_since: number;
  rows: Record<string, NodeRow>;
  order: string[];
  jobs: Record<string, JobState>;
  calls: Record<string, JobCall>;
  cpu: [number, number];
  memory: [number, number];
  store: [number, number];
  errors: { text: string; count: number }[];
}

/** A reference, a generator, or any other thing that runs, can be cancelled, and ends. */
export interface LineState {
  view: "line";
  now: number;
  name: string;
  mark: Mark;
  word: string;
  since: number;
  /** How long it took, as a text; empty while it goes on. */
  took: string;
  note: string;
  /** The text of the button, empty for none, and what a click does. */
  button: string;
  tip: string;
}

/** One progress bar. */
export interface BarRow {
  title: string;
  tip: string;
  mark: Mark;
  /** The part that is done, from 0 to 1; null if it is not known what is in all. */
  share: number | null;
  /** The units done, and those in all. */
  units: string;
  since: number;
  /** How long it took, as a text; empty while it goes on. */
  took: string;
  /** The time to the end, as a text; empty if it is not known. */
  rest: string;
  note: string;
  /** Whether the bar has a button, which cancels its call. */
  button: boolean;
}

/** The progress bars of a cell. */
export interface BarsState {
  view: "bars";
  now: number;
  rows: Record<string, BarRow>;
  order: string[];
}

/** One call in the picture of a trace. */
export interface Span {
  id: string;
  parent: string;
  name: string;
  /** The actor's name, or "tasks". A call of the cell itself has the parent "". */
  track: string;
  mark: Mark;
  submitted: number;
  started: number;
  ended: number;
}

/** The calls of one function. Times in seconds; the median and the longest of each kind, null if there is none yet. */
export interface FunctionRow {
  name: string;
  count: number;
  live: number;
  failed: number;
  total: number;
  queue: [number, number] | null;
  run: [number, number] | null;
}

export interface TraceState {
  view: "trace";
  now: number;
  /** What the user calls the cell, such as "In[3]". */
  prompt: string;
  began: number;
  /** When the cell had ended; 0 before. Its calls may go on. */
  cell_ended: number;
  /** When the cell and its calls had ended; 0 before. */
  ended: number;
  spans: Record<string, Span>;
  functions: FunctionRow[];
  /** How many calls wait or run. */
  live: number;
  /** How many calls are not drawn, since there are too many. */
  dropped: number;
  /** How many short calls the processes have counted only. */
  unlisted: number;
  note: string;
}

export type PanelState = ActorState | SessionState | NodeState | LineState | BarsState | TraceState;

/** What the panel asks the kernel to do. */
export type Command =
  | { what: "cancel"; call: string }
  | { what: "cancel_line" }
  | { what: "cancel_bar"; row: string }
  | { what: "interrupt"; actor: string }
  | { what: "interrupt_all" }
  | { what: "kill"; actor: string }
  | { what: "stack"; actor: string }
  | { what: "profile"; actor: string }
  | { what: "log"; actor: string }
  | { what: "timeline" };

/** From the panel to the kernel. */
export type Request = { kind: "hello" } | { kind: "look"; visible: boolean } | ({ kind: "do"; number: number } & Command);

/** The kernel's answer to a command. */
export interface Answer {
  ok: boolean;
  text: string;
}

/** The changes since the last message: whole fields, and of a table of rows those that have changed. */
export interface Changes {
  kind: "changes";
  now: number;
  fields: Record<string, unknown>;
  rows?: Record<string, unknown>;
  gone?: string[];
}

/** From the kernel, or the server, to the panel. */
export type News = Changes | { kind: "answer"; number: number; ok: boolean; text: string };

/** From the server to the panel: the whole state, at first and after a gap. */
export interface Whole {
  kind: "state";
  state: NodeState;
}
