import type { JobCall, JobState, NodeRow, NodeState } from "../src/protocol.js";
import { row } from "./widget.js";

/** An actor of a job. */
export function nodeRow(id: string, job: string, more: Partial<NodeRow> = {}): NodeRow {
  return { ...row(id), job, cell_id: "", ...more };
}

/** A notebook. */
export function job(title: string): JobState {
  return { title, path: title, kernel_id: title, pid: 1, is_alive: true };
}

/** A call that no actor has. */
export function call(id: string, of: string, name = "load"): JobCall {
  const state = { group: "", mark: "busy", word: "runs", since: 1, args: null, cell: "", creation: false } as const;
  return { ...state, id, name, job: of, cell_id: "", bar: null };
}

/** The state of a node. */
export function node(rows: NodeRow[], jobs: Record<string, JobState>, calls: JobCall[] = []): NodeState {
  return {
    view: "node",
    now: 100,
    runs: true,
    away_since: 0,
    rows: Object.fromEntries(rows.map((each) => [each.id, each])),
    order: rows.map((each) => each.id),
    jobs,
    calls: Object.fromEntries(calls.map((each) => [each.id, each])),
    cpu: [1, 2],
    memory: [1024, 4096],
    store: [0, 1],
    errors: [],
  };
}
