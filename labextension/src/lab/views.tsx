import { Widget } from "@lumino/widgets";
import { signal } from "@preact/signals";
import { type ComponentChild, h, render } from "preact";
import type { PanelModel } from "../model.js";
import { type Host, NodePanel, headline } from "../node_panel.js";
import { totals } from "../node_rows.js";
import { bytes } from "../format.js";
import type { NodeState } from "../protocol.js";
import { t } from "../words.js";

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

  // Behind another panel it draws nothing: that would cost the page as much as what shows.
  protected override onAfterAttach(): void {
    if (this.isVisible) super.onAfterAttach();
  }

  protected override onAfterShow(): void {
    super.onAfterAttach();
  }

  protected override onAfterHide(): void {
    super.onBeforeDetach();
  }
}

/** What the status bar says: how many actors there are, and what they use. A click opens the side panel. */
export class StatusItem extends View {
  private readonly isShown = signal(true);
  private readonly warnAt = signal(0.9);

  constructor(model: PanelModel, onClick: () => void) {
    super(() => this.isShown.value && <Status model={model} warnAt={this.warnAt.value} onClick={onClick} />);
    this.addClass("nba-status");
  }

  /** Shows or hides the item, and sets the share of the machine's memory from which on it warns. */
  configure(isShown: boolean, warnAt: number): void {
    this.isShown.value = isShown;
    this.warnAt.value = warnAt;
  }
}

function Status({ model, warnAt, onClick }: { model: PanelModel; warnAt: number; onClick: () => void }) {
  const state = model.state.value as NodeState;
  if (totals(state).actors === 0) return null;
  const [used, total] = state.memory;
  const isHigh = total > 0 && used > warnAt * total;
  const text = `${headline(state)} · ${t("CPU")} ${state.cpu[0]}/${state.cpu[1]} · ${bytes(used) || "0 B"}`;
  return (
    <button
      type="button"
      class={`nba-status-button${isHigh ? " nba-error" : ""}`}
      title={isHigh ? t("The actors use most of the machine's memory. Show the actors") : t("Show the actors")}
      onClick={onClick}
    >
      {isHigh && "⚠ "}
      {text}
    </button>
  );
}
