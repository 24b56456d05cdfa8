import type { PanelModel } from "./model.js";
import { CancelButton } from "./parts/cancel.js";
import { Clock } from "./parts/clock.js";
import { Sign } from "./parts/sign.js";
import type { LineState } from "./protocol.js";

/** One thing that runs and ends, such as a call whose reference the user has shown: a line with its state. */
export function LinePanel({ model, state }: { model: PanelModel; state: LineState }) {
  const { button, mark, name, note, took } = state;
  return (
    <div class="nba-single">
      <span class={`nba-state nba-${mark}`}>
        <Sign mark={mark} />
        {state.word}
      </span>
      <span class="nba-cut" title={name}>
        {name}
      </span>
      <span class="nba-time">{took || <Clock model={model} since={state.since} />}</span>
      {note !== "" && (
        <span class="nba-cut nba-faint" title={note}>
          {note}
        </span>
      )}
      {button !== "" && (
        <CancelButton model={model} text={button} label={`${button} ${name}`} title={state.tip} command={{ what: "cancel_line" }} />
      )}
    </div>
  );
}
