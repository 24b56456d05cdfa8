import { Widget } from "@lumino/widgets";
import { type ComponentChild, h, render } from "preact";
import type { PanelModel } from "../model.js";
import { type Host, NodePanel, headline } from "../node_panel.js";
import { totals } from "../node_rows.js";
import { bytes } from "../format.js";
import type { NodeState } from "../protocol.js";

/** A widget of JupyterLab whose content Preact draws. */
class View extends Widget {
  constructor(private readonly draw: () => ComponentChild) {
    super();
    this.addClass("nba");
  }

  protected override onAfterAttach(): void {
    render(h(this.draw, null), this.node);
  }

  protected override onBeforeDetach(): void {
    render(null, this.node);
  }
}

/** The side panel: all actors of the user's node. */
export class SidePanel extends View {
  constructor(model: PanelModel, host: Host) {
    super(() => <NodePanel model={model} state={model.state.value as NodeState} host={host} />);
    this.id = "nbactors-actors";
    this.addClass("nba-sidebar");
  }
}

/** What the status bar says: how many actors there are, and what they use. A click opens the side panel. */
export class StatusItem extends View {
  constructor(model: PanelModel, onClick: () => void) {
    super(() => <Status model={model} onClick={onClick} />);
    this.addClass("nba-status");
  }
}

/** The share of the machine's memory from which on the status bar warns. */
const WARN_SHARE = 0.9;

function Status({ model, onClick }: { model: PanelModel; onClick: () => void }) {
  const state = model.state.value as NodeState;
  if (totals(state).actors === 0) return null;
  const [used, total] = state.memory;
  const isHigh = total > 0 && used > WARN_SHARE * total;
  const text = `${headline(state)} · CPU ${state.cpu[0]}/${state.cpu[1]} · ${bytes(used) || "0 B"}`;
  return (
    <button type="button" class={`nba-status-button${isHigh ? " nba-error" : ""}`} title="Show the actors" onClick={onClick}>
      {isHigh && "⚠ "}
      {text}
    </button>
  );
}
