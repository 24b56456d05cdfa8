import type { JobCall, Mark, Row } from "./protocol.js";

/** From how many actors of a class on their states are drawn as a heat map. */
export const HEAT_FROM = 30;

/** Heights in pixels. */
export const ROW_PX = 28;
const CELL_PX = 12;
const HEAT_PADDING_PX = 14;
const HEAT_SIDES_PX = 44;

export type Grouping = "class" | "state";

/** What the list of a session shows, from top to bottom. */
export type Item =
  | { kind: "group"; key: string; title: string; rows: Row[]; isOpen: boolean; hasHeat: boolean }
  | { kind: "heat"; key: string; rows: Row[] }
  | { kind: "row"; key: string; row: Row }
  | { kind: "call"; key: string; call: JobCall };

/** The title of the group that a row belongs to. */
export type TitleOf = (row: Row) => string;

const WORDS: Record<Mark, string> = {
  idle: "Idle",
  busy: "Busy",
  queued: "Queued",
  waiting: "Waiting",
  starting: "Starting",
  restarting: "Restarting",
  paused: "Paused",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
  ended: "Ended",
};

const TITLES: Record<Grouping, TitleOf> = { class: (row) => row.cls, state: (row) => WORDS[row.mark] };

/** Returns the rows that contain a text in their name, class or state, in the order of creation. */
export function filtered<R extends Row>(state: { rows: Record<string, R>; order: string[] }, filter: string): R[] {
  const wanted = filter.trim().toLowerCase();
  const rows = state.order.flatMap((id) => state.rows[id] ?? []);
  if (wanted === "") return rows;
  return rows.filter((row) => [row.name, row.cls, row.word, row.mark].some((text) => text.toLowerCase().includes(wanted)));
}

/**
 * Returns the items of the list.
 *
 * Groups stand in the order of their first actors, so a row never moves because another one has changed. `folded` has
 * the keys of groups whose state the user has changed: a small group is open at first, a group with a heat map is not.
 */
export function itemsOf(rows: Row[], grouping: Grouping | TitleOf, folded: ReadonlySet<string>): Item[] {
  const titleOf = typeof grouping === "function" ? grouping : TITLES[grouping];
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = titleOf(row);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [row]);
    else members.push(row);
  }
  const items: Item[] = [];
  for (const [title, members] of groups) {
    const hasHeat = members.length >= HEAT_FROM;
    const isOpen = folded.has(title) === hasHeat;
    items.push({ kind: "group", key: `group ${title}`, title, rows: members, isOpen, hasHeat });
    if (hasHeat) items.push({ kind: "heat", key: `heat ${title}`, rows: members });
    if (isOpen) for (const row of members) items.push({ kind: "row", key: row.id, row });
  }
  return items;
}

/** Below this width, in pixels, the buttons of the selected row stand under it; `style.css` has the same number. */
const NARROW_PX = 560;

/** Returns the height of an item in a list of the given width, in pixels. */
export function heightOf(item: Item | undefined, width: number, isSelected = false): number {
  if (item?.kind === "row") return isSelected && width <= NARROW_PX && hasButtons(item.row) ? 2 * ROW_PX : ROW_PX;
  if (item?.kind !== "heat") return ROW_PX;
  const columns = Math.max(1, Math.floor((width - HEAT_SIDES_PX + 2) / CELL_PX));
  return Math.ceil(item.rows.length / columns) * CELL_PX + HEAT_PADDING_PX;
}

/** Returns whether something can be done about an actor. */
export function hasButtons(row: Row): boolean {
  return row.mark !== "failed" && row.mark !== "ended";
}

/** Returns how many rows have each state, as text, such as "420 busy, 6 failed". */
export function summary(rows: Row[]): string {
  const counts = new Map<Mark, number>();
  for (const row of rows) counts.set(row.mark, (counts.get(row.mark) ?? 0) + 1);
  return [...counts].map(([mark, number]) => `${number.toLocaleString("en")} ${mark}`).join(", ");
}
