import { useComputed, useSignal } from "@preact/signals";
import { ActorList } from "./actor_list.js";
import { Saved } from "./actor_panel.js";
import { Question, ShownText, useTools } from "./actor_tools.js";
import { bytes } from "./format.js";
import type { PanelModel } from "./model.js";
import { Button } from "./parts/button.js";
import { Errors } from "./parts/errors.js";
import { Meter } from "./parts/meter.js";
import type { SessionState } from "./protocol.js";
import { filtered, type Grouping, itemsOf, summary } from "./session_rows.js";

/** All actors of a session: groups, rows in the order of creation, and what can be done about them. */
export function SessionPanel({ model, state }: { model: PanelModel; state: SessionState }) {
  const filter = useSignal("");
  const grouping = useSignal<Grouping>("class");
  const tools = useTools(model);
  const { act, actions, folded, selected, toggle } = tools;
  const isOff = !model.isLive.value;
  const rows = useComputed(() => filtered(model.state.value as SessionState, filter.value)).value;
  const items = itemsOf(rows, grouping.value, folded.value);

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
      <Question tools={tools} />
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
      <ShownText tools={tools} />
      <Errors errors={state.errors} />
      {isOff && <Saved now={state.now} />}
    </section>
  );
}

function trimmed(number: number): string {
  return String(Math.round(number * 100) / 100);
}
