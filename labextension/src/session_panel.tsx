import { useComputed, useSignal } from "@preact/signals";
import { ActorList } from "./actor_list.js";
import { Saved } from "./actor_panel.js";
import { bytes } from "./format.js";
import type { PanelModel } from "./model.js";
import { Button } from "./parts/button.js";
import { Detail, type Shown } from "./parts/detail.js";
import { Errors } from "./parts/errors.js";
import { KillQuestion } from "./parts/kill.js";
import { Meter } from "./parts/meter.js";
import type { Command, Row, SessionState } from "./protocol.js";
import { filtered, type Grouping, itemsOf, summary } from "./session_rows.js";

/** All actors of a session: groups, rows in the order of creation, and what can be done about them. */
export function SessionPanel({ model, state }: { model: PanelModel; state: SessionState }) {
  const filter = useSignal("");
  const grouping = useSignal<Grouping>("class");
  const folded = useSignal<ReadonlySet<string>>(new Set());
  const selected = useSignal("");
  const shown = useSignal<Shown | null>(null);
  const dying = useSignal<Row | null>(null);
  const isOff = !model.isLive.value;
  const rows = useComputed(() => filtered(model.state.value as SessionState, filter.value)).value;
  const items = itemsOf(rows, grouping.value, folded.value);

  const act = async (command: Command, title = ""): Promise<void> => {
    const answer = await model.do(command);
    if (title !== "" || !answer.ok) shown.value = { title: answer.ok ? title : "That did not work", text: answer.text };
  };
  const actions = {
    interrupt: (row: Row) => act({ what: "interrupt", actor: row.id }),
    stack: (row: Row) => act({ what: "stack", actor: row.id }, `Stack of ${row.name}`),
    log: (row: Row) => act({ what: "log", actor: row.id }, `Log of ${row.name}`),
    kill: (row: Row) => {
      dying.value = row;
    },
  };
  const toggle = (title: string): void => {
    const next = new Set(folded.value);
    if (!next.delete(title)) next.add(title);
    folded.value = next;
  };

  return (
    <section class="nba-card" aria-label="Actors">
      <header class="nba-head">
        <b>Actors</b>
        <span class="nba-muted nba-cut">{[state.title, state.runs ? summary(rows) || "none" : "no node runs"].filter(Boolean).join(" · ")}</span>
        <span class="nba-space" />
        <span class="nba-buttons">
        <input
          class="nba-input"
          type="search"
          placeholder="filter"
          aria-label="Filter by name, class or state"
          value={filter.value}
          onInput={(event) => {
            filter.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            event.stopPropagation();
          }}
        />
        <select
          class="nba-input"
          aria-label="Group by"
          value={grouping.value}
          onChange={(event) => {
            grouping.value = event.currentTarget.value as Grouping;
          }}
        >
          <option value="class">by class</option>
          <option value="state">by state</option>
        </select>
        <Button
          label="Interrupt all"
          title="Interrupt every call that runs in these actors"
          disabled={isOff || !rows.some((row) => row.mark === "busy")}
          onClick={() => act({ what: "interrupt_all" })}
        />
        </span>
      </header>
      {state.runs && (
        <div class="nba-line">
          <Meter name="CPU" used={state.cpu[0]} total={state.cpu[1]} text={`${trimmed(state.cpu[0])} of ${trimmed(state.cpu[1])} held`} />
          <Meter name="memory" used={state.memory[0]} total={state.memory[1]} text={`${bytes(state.memory[0]) || "0 B"} of ${bytes(state.memory[1])}`} />
          <Meter name="store" used={state.store[0]} total={state.store[1]} text={bytes(state.store[0]) || "0 B"} />
        </div>
      )}
      {dying.value !== null && (
        <KillQuestion
          key={dying.value.id}
          name={dying.value.name}
          detached={dying.value.detached}
          onKill={() => {
            const actor = dying.value?.id ?? "";
            dying.value = null;
            return act({ what: "kill", actor });
          }}
          onCancel={() => {
            dying.value = null;
          }}
        />
      )}
      {items.length === 0 ? (
        <div class="nba-empty">
          {state.order.length > 0 ? "No actor matches." : <>Nothing runs here yet. <code>%%actor name</code> starts the first one.</>}
        </div>
      ) : (
        <ActorList
          model={model}
          items={items}
          selected={selected.value}
          onSelect={(id) => (selected.value = id)}
          onToggle={toggle}
          actions={isOff ? null : actions}
        />
      )}
      {shown.value !== null && (
        <Detail
          shown={shown.value}
          onClose={() => {
            shown.value = null;
          }}
        />
      )}
      <Errors errors={state.errors} />
      {isOff && <Saved now={state.now} />}
    </section>
  );
}

function trimmed(number: number): string {
  return String(Math.round(number * 100) / 100);
}
