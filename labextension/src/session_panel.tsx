import { useComputed, useSignal } from "@preact/signals";
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Saved } from "./actor_panel.js";
import { bytes, count } from "./format.js";
import type { PanelModel } from "./model.js";
import { Button } from "./parts/button.js";
import { Clock } from "./parts/clock.js";
import { Detail, type Shown } from "./parts/detail.js";
import { KillQuestion } from "./parts/kill.js";
import { Meter } from "./parts/meter.js";
import { Sign } from "./parts/sign.js";
import type { Command, Row, SessionState } from "./protocol.js";
import { filtered, type Grouping, heightOf, type Item, itemsOf, ROW_PX, summary } from "./session_rows.js";

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
        <List items={items} selected={selected.value} onSelect={(id) => (selected.value = id)} onToggle={toggle} actions={isOff ? null : actions}>
          {(item) => <ItemView item={item} model={model} selected={selected.value} onSelect={(id) => (selected.value = id)} onToggle={toggle} actions={isOff ? null : actions} />}
        </List>
      )}
      {shown.value !== null && (
        <Detail
          shown={shown.value}
          onClose={() => {
            shown.value = null;
          }}
        />
      )}
      {state.errors.length > 0 && (
        <details class="nba-errors">
          <summary>
            <span class="nba-error">{state.errors.length === 1 ? "1 kind of error" : `${state.errors.length} kinds of errors`}</span>,{" "}
            {count(state.errors.reduce((sum, error) => sum + error.count, 0))} in all
          </summary>
          {state.errors.map((error) => (
            <div key={error.text} class="nba-cut" title={error.text}>
              <b>{count(error.count)}</b> × <span class="nba-error">{error.text}</span>
            </div>
          ))}
        </details>
      )}
      {isOff && <Saved now={state.now} />}
    </section>
  );
}

interface Actions {
  interrupt: (row: Row) => Promise<void>;
  stack: (row: Row) => Promise<void>;
  log: (row: Row) => Promise<void>;
  kill: (row: Row) => void;
}

interface ListProps {
  items: Item[];
  selected: string;
  onSelect: (id: string) => void;
  onToggle: (title: string) => void;
  actions: Actions | null;
  children: (item: Item) => ComponentChildren;
}

/** A list that makes elements only for the items on the screen. Keys: arrows, Home, End, i, l, s, Delete. */
function List({ items, selected, onSelect, actions, children }: ListProps) {
  const place = useRef<HTMLDivElement>(null);
  const [, setTurn] = useState(0);
  const held = useRef<Virtualizer<HTMLDivElement, Element>>();
  const options = {
    count: items.length,
    getScrollElement: () => place.current,
    estimateSize: (index: number) => heightOf(items[index], place.current?.clientWidth ?? 600),
    getItemKey: (index: number) => items[index]?.key ?? index,
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => {
      setTurn((turn) => turn + 1);
    },
  };
  const list = (held.current ??= new Virtualizer<HTMLDivElement, Element>(options));
  list.setOptions(options);
  useLayoutEffect(() => list._didMount(), [list]);
  useLayoutEffect(() => {
    list._willUpdate();
  });
  const sizes = items.map((item) => `${item.key}:${item.kind === "heat" ? item.rows.length : 0}`).join();
  const width = place.current?.clientWidth ?? 0;
  useEffect(() => {
    list.measure();
  }, [list, sizes, width]);

  const rows = items.flatMap((item) => (item.kind === "row" ? [item.row] : []));
  const move = (to: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, to))];
    if (row === undefined) return;
    onSelect(row.id);
    list.scrollToIndex(items.findIndex((item) => item.key === row.id));
  };
  const press = (event: KeyboardEvent): void => {
    const at = rows.findIndex((row) => row.id === selected);
    const row = rows[at];
    const keys: Record<string, () => unknown> = {
      ArrowDown: () => {
        move(at + 1);
      },
      ArrowUp: () => {
        move(Math.max(0, at - 1));
      },
      Home: () => {
        move(0);
      },
      End: () => {
        move(rows.length - 1);
      },
      i: () => row && actions?.interrupt(row),
      s: () => row && actions?.stack(row),
      l: () => row && actions?.log(row),
      Delete: () => {
        if (row) actions?.kill(row);
      },
    };
    const action = keys[event.key];
    // The notebook must not take the key as a command of its own, such as Delete.
    event.stopPropagation();
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  };
  const virtual = list.getVirtualItems();
  return (
    <div
      ref={place}
      class="nba-rows"
      role="grid"
      tabIndex={0}
      aria-label="Actors. Arrows select; i interrupts, s shows the stack, l the log, Delete ends."
      aria-activedescendant={selected === "" ? undefined : `nba-row-${selected}`}
      onKeyDown={press}
    >
      <div style={{ height: `${list.getTotalSize()}px` }} role="presentation">
        {virtual.map((seen) => {
          const item = items[seen.index];
          return (
            item !== undefined && (
              <div key={item.key} class="nba-item" role="presentation" style={{ transform: `translateY(${seen.start}px)` }}>
                {children(item)}
              </div>
            )
          );
        })}
      </div>
    </div>
  );
}

interface ItemProps {
  item: Item;
  model: PanelModel;
  selected: string;
  onSelect: (id: string) => void;
  onToggle: (title: string) => void;
  actions: Actions | null;
}

function ItemView({ item, model, selected, onSelect, onToggle, actions }: ItemProps) {
  if (item.kind === "heat") {
    return (
      <div role="row">
        <div role="gridcell">
          <div class="nba-heat" role="img" aria-label={summary(item.rows)}>
            {item.rows.map((row) => (
              <i key={row.id} class={`nba-${row.mark}`} title={`${row.name}: ${row.word}`} />
            ))}
          </div>
        </div>
      </div>
    );
  }
  if (item.kind === "group") {
    return (
      <div role="row">
        <div role="gridcell">
      <button
        type="button"
        class="nba-class"
        aria-expanded={item.isOpen}
        tabIndex={-1}
        onClick={() => {
          onToggle(item.title);
        }}
      >
        {item.isOpen ? "▾" : "▸"} {item.title}
        <span class="nba-muted">{count(item.rows.length)}</span>
        <span class="nba-muted nba-cut">{summary(item.rows)}</span>
        <span class="nba-space" />
        <span class="nba-muted nba-time">{bytes(item.rows.reduce((sum, row) => sum + row.memory, 0))}</span>
      </button>
        </div>
      </div>
    );
  }
  const { row } = item;
  return (
    <div
      id={`nba-row-${row.id}`}
      class="nba-row"
      role="row"
      aria-selected={selected === row.id}
      style={{ minHeight: `${ROW_PX}px` }}
      onClick={() => {
        onSelect(row.id);
      }}
    >
      <Sign mark={row.mark} />
      <span role="rowheader" class="nba-cut" title={row.detached ? `${row.name}, detached` : row.name}>
        {row.name} {row.detached && <span aria-label="detached">⚓</span>}
      </span>
      <span role="gridcell" class="nba-muted nba-cut nba-of-class">{row.cls}</span>
      <span role="gridcell" class={`nba-cut${row.mark === "failed" ? " nba-error" : ""}`} title={row.word}>
        {row.word}
      </span>
      <span role="gridcell" class="nba-muted nba-time">{row.mark !== "idle" && <Clock model={model} since={row.since} />}</span>
      <span role="gridcell" class="nba-muted nba-time nba-memory">{bytes(row.memory)}</span>
      {actions !== null && row.mark !== "failed" && row.mark !== "ended" ? (
        <span role="gridcell" class="nba-actions">
          <Button label={`Interrupt ${row.name}`} title="Interrupt (i)" disabled={row.mark !== "busy"} onClick={() => actions.interrupt(row)}>
            ■
          </Button>
          <Button label={`Stack of ${row.name}`} title="Stack (s)" onClick={() => actions.stack(row)}>
            ☰
          </Button>
          <Button
            label={`End ${row.name}`}
            title="End (Delete)"
            onClick={() => {
              actions.kill(row);
              return undefined;
            }}
          >
            ✕
          </Button>
        </span>
      ) : (
        <span role="gridcell" />
      )}
    </div>
  );
}

function trimmed(number: number): string {
  return String(Math.round(number * 100) / 100);
}
