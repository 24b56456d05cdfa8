import type { CallState, GroupState } from "../protocol.js";

/** The most slots that are drawn one by one. */
const MOST = 24;

/** The slots of a concurrency group: which are taken, and by what. */
export function Slots({ group, calls }: { group: GroupState; calls: CallState[] }) {
  const names = new Map(calls.map((call) => [call.id, call.name]));
  const taken = group.running.length;
  const text = `${taken} of ${group.size} busy` + (group.queued > 0 ? `, ${group.queued} queued` : "");
  const label = `${group.name || "default"}: ${text}`;
  return (
    <div class="nba-group">
      <span class="nba-muted nba-cut">{group.name || "default"}</span>
      {group.size <= MOST ? (
        <span class="nba-slots" role="img" aria-label={label}>
          {Array.from({ length: group.size }, (_, slot) => {
            const id = group.running[slot];
            const name = id === undefined ? "free" : (names.get(id) ?? "a call");
            return (
              <i key={slot} class={id === undefined ? "" : "nba-taken"} title={name}>
                {id !== undefined && group.size <= 6 ? name.slice(name.lastIndexOf(".") + 1) : ""}
              </i>
            );
          })}
        </span>
      ) : (
        <span class="nba-bar nba-wide" role="img" aria-label={label}>
          <i style={{ width: `${Math.min(100, (taken / group.size) * 100)}%` }} />
        </span>
      )}
      <span class="nba-muted nba-time">{text}</span>
    </div>
  );
}
