import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { bytes, count } from "./format.js";
import type { PanelModel } from "./model.js";
import { Button } from "./parts/button.js";
import { Clock } from "./parts/clock.js";
import { Sign } from "./parts/sign.js";
import type { JobCall, Row } from "./protocol.js";
import { hasButtons, heightOf, type Item, ROW_PX, summary } from "./session_rows.js";
import { t } from "./words.js";

/** What can be done about an actor; none while nothing answers. */
export interface Actions {
  interrupt: (row: Row) => Promise<void>;
  stack: (row: Row) => Promise<void>;
  log: (row: Row) => Promise<void>;
  kill: (row: Row) => void;
  profile?: (row: Row) => Promise<void>;
  /** For detached actors. */
  attach?: (row: Row) => Promise<void>;
  /** Cancels a call that no actor has. */
  cancel?: (call: string) => Promise<void>;
  /** Shows the cell that has made a call that no actor has. */
  reveal?: (call: JobCall) => void;
}

interface Props {
  model: PanelModel;
  items: Item[];
  selected: string;
  onSelect: (id: string) => void;
  /** Folds a group, or unfolds it. */
  onToggle: (title: string) => void;
  actions: Actions | null;
}

/** A list that makes elements only for the items on the screen. Keys: arrows, Home, End, i, l, s, Delete. */
export function ActorList({ model, items, selected, onSelect, onToggle, actions }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [, setTurn] = useState(0);
  const held = useRef<Virtualizer<HTMLDivElement, Element>>();
  const options = {
    count: items.length,
    getScrollElement: () => place.current,
    estimateSize: (index: number) => heightOf(items[index], place.current?.clientWidth ?? 600, items[index]?.key === selected),
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
  }, [list, sizes, width, selected]);

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
      aria-label={t("Actors. Arrows select; i interrupts, s shows the stack, l the log, Delete ends.")}
      aria-activedescendant={selected === "" ? undefined : `nba-row-${selected}`}
      onKeyDown={press}
    >
      <div style={{ height: `${list.getTotalSize()}px` }} role="presentation">
        {virtual.map((seen) => {
          const item = items[seen.index];
          return (
            item !== undefined && (
              <div key={item.key} class="nba-item" role="presentation" style={{ transform: `translateY(${seen.start}px)` }}>
                <ItemView item={item} model={model} selected={selected} onSelect={onSelect} onToggle={onToggle} actions={actions} />
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
        <span aria-hidden="true">{item.isOpen ? "▾" : "▸"}</span>
        <b class="nba-cut" title={item.title}>
          {item.title}
        </b>
        <span class="nba-muted">{item.rows.length > 0 && count(item.rows.length)}</span>
        <span class="nba-muted nba-cut">{summary(item.rows)}</span>
        <span class="nba-space" />
        <span class="nba-muted nba-time">{bytes(item.rows.reduce((sum, row) => sum + row.memory, 0))}</span>
      </button>
        </div>
      </div>
    );
  }
  if (item.kind === "call") return <CallView call={item.call} model={model} actions={actions} />;
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
      <span role="rowheader" class="nba-cut" title={row.detached ? t("%1, detached", row.name) : row.name}>
        {row.name} {row.detached && <span aria-label={t("detached")}>⚓</span>}
      </span>
      <span role="gridcell" class="nba-muted nba-cut nba-of-class">{row.cls}</span>
      <span role="gridcell" class={`nba-cut${row.mark === "failed" ? " nba-error" : ""}`} title={row.word}>
        {row.word}
      </span>
      <span role="gridcell" class="nba-muted nba-time">{row.mark !== "idle" && <Clock model={model} since={row.since} />}</span>
      <span role="gridcell" class="nba-muted nba-time nba-memory">{bytes(row.memory)}</span>
      {actions !== null && hasButtons(row) ? (
        <span role="gridcell" class="nba-actions">
          {row.detached && actions.attach !== undefined && (
            <Button label={t("Attach %1", row.name)} title={t("Attach to the current notebook")} onClick={() => actions.attach?.(row)}>
              {t("Attach")}
            </Button>
          )}
          <Button label={t("Interrupt %1", row.name)} title={t("Interrupt (i)")} disabled={row.mark !== "busy"} onClick={() => actions.interrupt(row)}>
            ■
          </Button>
          <Button label={t("Stack of %1", row.name)} title={t("Stack (s)")} onClick={() => actions.stack(row)}>
            ☰
          </Button>
          {actions.profile !== undefined && (
            <Button label={t("Profile of %1", row.name)} title={t("Profile")} disabled={row.mark !== "busy"} onClick={() => actions.profile?.(row)}>
              ◷
            </Button>
          )}
          <Button
            label={t("End %1", row.name)}
            title={t("End (Delete)")}
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

/** The progress bar of a call: how much is done as a bar where that is known, else what its bar says. */
export function CallBar({ name, bar }: { name: string; bar: NonNullable<JobCall["bar"]> }) {
  if (bar.share === null) return <>{bar.text}</>;
  const percent = Math.floor(bar.share * 100);
  return (
    <span class="nba-meter">
      <span
        class="nba-bar"
        role="progressbar"
        aria-label={bar.title || name}
        aria-valuenow={percent}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <i style={{ width: `${bar.share * 100}%` }} />
      </span>
      <span class="nba-muted">{percent}%</span>
    </span>
  );
}

/** A call that no actor has, such as a cell in the background. */
function CallView({ call, model, actions }: { call: JobCall; model: PanelModel; actions: Actions | null }) {
  return (
    <div class="nba-row nba-job-call" role="row" onClick={() => actions?.reveal?.(call)}>
      <Sign mark={call.mark} />
      <span role="rowheader" class="nba-cut" title={call.name}>
        {call.name}
      </span>
      <span role="gridcell" class="nba-cut" title={call.bar?.text ?? call.word}>
        {call.bar === null ? call.word : <CallBar name={call.name} bar={call.bar} />}
      </span>
      <span role="gridcell" class="nba-muted nba-time">
        <Clock model={model} since={call.since} />
      </span>
      <span role="gridcell">
        {actions?.cancel !== undefined && (
          <Button label={t("Cancel %1", call.name)} title={t("Cancel")} onClick={() => actions.cancel?.(call.id)}>
            {t("Cancel")}
          </Button>
        )}
      </span>
    </div>
  );
}
