import { type Signal, useSignal } from "@preact/signals";
import type { Actions } from "./actor_list.js";
import type { PanelModel } from "./model.js";
import { Detail, type Shown } from "./parts/detail.js";
import { KillQuestion } from "./parts/kill.js";
import type { Command, Row } from "./protocol.js";
import { t } from "./words.js";

/** What the user has chosen in a list of actors, and what can be done about them. */
export interface Tools {
  model: PanelModel;
  /** The titles of the groups that the user has folded or unfolded. */
  folded: Signal<ReadonlySet<string>>;
  toggle: (title: string) => void;
  selected: Signal<string>;
  /** A text that was asked for, such as a stack. */
  shown: Signal<Shown | null>;
  /** The actor whose end is in question. */
  dying: Signal<Row | null>;
  /** Has a command carried out. With a title its answer is shown, otherwise only what went wrong. */
  act: (command: Command, title?: string) => Promise<void>;
  actions: Actions;
}

export function useTools(model: PanelModel): Tools {
  const folded = useSignal<ReadonlySet<string>>(new Set());
  const selected = useSignal("");
  const shown = useSignal<Shown | null>(null);
  const dying = useSignal<Row | null>(null);
  const act = async (command: Command, title = ""): Promise<void> => {
    const answer = await model.do(command);
    if (title !== "" || !answer.ok) shown.value = { title: answer.ok ? title : t("That did not work"), text: answer.text };
  };
  const actions: Actions = {
    interrupt: (row) => act({ what: "interrupt", actor: row.id }),
    stack: (row) => act({ what: "stack", actor: row.id }, t("Stack of %1", row.name)),
    log: (row) => act({ what: "log", actor: row.id }, t("Log of %1", row.name)),
    kill: (row) => {
      dying.value = row;
    },
  };
  const toggle = (title: string): void => {
    const next = new Set(folded.value);
    if (!next.delete(title)) next.add(title);
    folded.value = next;
  };
  return { model, folded, toggle, selected, shown, dying, act, actions };
}

/** The question whether to end an actor, if there is one. */
export function Question({ tools }: { tools: Tools }) {
  const { dying, act } = tools;
  const row = dying.value;
  if (row === null) return null;
  return (
    <KillQuestion
      key={row.id}
      name={row.name}
      detached={row.detached}
      onKill={() => {
        dying.value = null;
        return act({ what: "kill", actor: row.id });
      }}
      onCancel={() => {
        dying.value = null;
      }}
    />
  );
}

/** The text that was asked for, if there is one. */
export function ShownText({ tools }: { tools: Tools }) {
  const { shown } = tools;
  if (shown.value === null) return null;
  return (
    <Detail
      shown={shown.value}
      onClose={() => {
        shown.value = null;
      }}
    />
  );
}
