import type { JobCall, JobState, NodeRow, NodeState } from "./protocol.js";
import { filtered, type Item, itemsOf } from "./session_rows.js";
import { t } from "./words.js";

/** The title of the group of detached actors, which stands on top. */
export const DETACHED = "Detached";

/** Returns what the list of a node shows: the detached actors, then each notebook with its actors and its calls. */
export function nodeItems(state: NodeState, filter: string, folded: ReadonlySet<string>): Item[] {
  const rows = filtered(state, filter);
  const titles = titlesOf(state.jobs);
  const items = itemsOf(
    rows.filter((row) => row.detached),
    () => t(DETACHED),
    folded,
  );
  for (const [job, title] of titles) {
    const own = rows.filter((row) => !row.detached && row.job === job);
    const calls = callsOf(state, job, filter);
    if (own.length === 0 && calls.length === 0) continue;
    const group = own.length > 0 ? itemsOf(own, () => title, folded) : [emptyGroup(title, folded)];
    const [first] = group;
    items.push(...group);
    if (first?.kind === "group" && (first.isOpen || first.hasHeat))
      for (const call of calls) items.push({ kind: "call", key: call.id, call });
  }
  return items;
}

/** Returns the title of each job: its notebook's name, with a number where two have the same. */
function titlesOf(jobs: Record<string, JobState>): Map<string, string> {
  const taken = new Map<string, number>();
  const titles = new Map<string, string>();
  for (const [id, job] of Object.entries(jobs)) {
    const before = taken.get(job.title) ?? 0;
    taken.set(job.title, before + 1);
    titles.set(id, before === 0 ? job.title : `${job.title} (${before + 1})`);
  }
  return titles;
}

function callsOf(state: NodeState, job: string, filter: string): JobCall[] {
  const wanted = filter.trim().toLowerCase();
  return Object.values(state.calls).filter((call) => call.job === job && call.name.toLowerCase().includes(wanted));
}

/** A notebook that has calls but no actors. */
function emptyGroup(title: string, folded: ReadonlySet<string>): Item {
  return { kind: "group", key: `group ${title}`, title, rows: [], isOpen: !folded.has(title), hasHeat: false };
}

/** The counts that the status bar shows. */
export interface Totals {
  actors: number;
  busy: number;
  failed: number;
}

/** Returns how many actors live, and how many of them are busy. */
export function totals(state: NodeState): Totals {
  const rows: NodeRow[] = Object.values(state.rows);
  const alive = rows.filter((row) => row.mark !== "ended" && row.mark !== "failed");
  return {
    actors: alive.length,
    busy: alive.filter((row) => row.mark === "busy").length,
    failed: rows.filter((row) => row.mark === "failed").length,
  };
}
