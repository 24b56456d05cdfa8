import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Actions, ActorList } from "./actor_list.js";
import { Question, ShownText, useTools } from "./actor_tools.js";
import { bytes, span } from "./format.js";
import type { PanelModel } from "./model.js";
import { nodeItems, totals } from "./node_rows.js";
import { Errors } from "./parts/errors.js";
import { Meter } from "./parts/meter.js";
import type { JobState, NodeState } from "./protocol.js";
import { t } from "./words.js";

/** Seconds for which a click on an actor waits for the cell of its call. The caller tells the cell apart from the call. */
const AWAITED_S = 5;

/** What the page around the panel does for it. */
export interface Host {
  /** Puts code into the current notebook that makes a handle to a detached actor. Returns why it could not. */
  attach(name: string): Promise<string>;
  /** Shows the cell that has made a call. */
  reveal(job: JobState, cellId: string): void;
}

interface Props {
  model: PanelModel;
  state: NodeState;
  host: Host;
}

/** All actors of the user's node, by notebook, the detached ones on top. Made for a narrow side bar. */
export function NodePanel({ model, state, host }: Props) {
  const filter = useSignal("");
  const tools = useTools(model);
  const { act, folded, selected, shown, toggle } = tools;
  const isOff = !model.isLive.value || !state.runs;
  const items = useComputed(() => nodeItems(model.state.value as NodeState, filter.value, folded.value)).value;

  const actions: Actions = {
    ...tools.actions,
    profile: (row) => act({ what: "profile", actor: row.id }, t("Profile of %1", row.name)),
    attach: async (row) => {
      const problem = await host.attach(row.name);
      if (problem !== "") shown.value = { title: t("%1 was not attached", row.name), text: problem };
    },
    cancel: (call) => act({ what: "cancel", call }),
    reveal: (call) => {
      reveal(call.job, call.cell_id);
    },
  };
  const awaited = useRef({ id: "", until: 0 });
  const reveal = (jobId: string, cellId: string): boolean => {
    const job = state.jobs[jobId];
    if (job === undefined || cellId === "") return false;
    host.reveal(job, cellId);
    return true;
  };
  const select = (id: string): void => {
    selected.value = id;
    awaited.current.id = "";
    const row = state.rows[id];
    if (row === undefined || reveal(row.job, row.cell_id)) return;
    if (row.mark === "busy" && row.job !== "") awaited.current = { id, until: state.now + AWAITED_S };
  };
  useEffect(() => {
    const row = state.rows[awaited.current.id];
    if (row === undefined) return;
    const isOver = row.mark !== "busy" || state.now > awaited.current.until;
    if (isOver || reveal(row.job, row.cell_id)) awaited.current.id = "";
  }, [state]);

  return (
    <section class={`nba-side${isOff && state.order.length > 0 ? " nba-away" : ""}`} aria-label={t("Actors")}>
      <header class="nba-line">
        <b class="nba-cut">{headline(state)}</b>
        <span class="nba-space" />
        <input
          class="nba-input nba-filter"
          type="search"
          placeholder={t("filter")}
          aria-label={t("Filter by name, class or state")}
          value={filter.value}
          onInput={(event) => {
            filter.value = event.currentTarget.value;
          }}
        />
      </header>
      <Away model={model} state={state} />
      {state.runs && (
        <div class="nba-line">
          <Meter name={t("CPU")} used={state.cpu[0]} total={state.cpu[1]} text={t("%1 of %2 held", state.cpu[0], state.cpu[1])} />
          <Meter name={t("memory")} used={state.memory[0]} total={state.memory[1]} text={bytes(state.memory[0]) || "0 B"} />
          {state.store[0] > 0 && <Meter name={t("store")} used={state.store[0]} total={state.store[1]} text={bytes(state.store[0])} />}
        </div>
      )}
      <Question tools={tools} />
      {items.length === 0 ? (
        <Empty state={state} isFiltered={filter.value !== ""} />
      ) : (
        <ActorList
          model={model}
          items={items}
          selected={selected.value}
          onSelect={select}
          onToggle={toggle}
          actions={isOff ? null : actions}
        />
      )}
      <ShownText tools={tools} />
      <Errors errors={state.errors} />
    </section>
  );
}

/** What the panel says of the whole node. */
export function headline(state: NodeState): string {
  const { actors, busy } = totals(state);
  const calls = Object.keys(state.calls).length;
  if (actors === 0) return calls === 0 ? t("No actors") : calls === 1 ? t("1 call") : t("%1 calls", calls);
  return actors === 1 ? t("1 actor, %1 busy", busy) : t("%1 actors, %2 busy", actors, busy);
}

/** Says that what is shown is old, and how old. */
function Away({ model, state }: { model: PanelModel; state: NodeState }) {
  if (!model.isLive.value && state.now > 0)
    return (
      <div class="nba-told" role="status">
        {t("The Jupyter server does not answer. Last state, %1 ago.", span(model.now() - state.now))}
      </div>
    );
  if (state.runs || state.away_since === 0) return null;
  return (
    <div class="nba-told" role="status">
      {t("The node has ended. Last state, %1 ago.", span(model.now() - state.away_since))}
    </div>
  );
}

function Empty({ state, isFiltered }: { state: NodeState; isFiltered: boolean }) {
  if (isFiltered && state.order.length > 0) return <div class="nba-empty">{t("No actor matches.")}</div>;
  return (
    <div class="nba-empty">
      {t("Nothing runs here yet. %1 in a cell starts the first actor.", "%%actor name")}
    </div>
  );
}
