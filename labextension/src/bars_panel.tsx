import type { PanelModel } from "./model.js";
import { CancelButton } from "./parts/cancel.js";
import { Clock } from "./parts/clock.js";
import type { BarRow, BarsState } from "./protocol.js";

/** The progress bars of a cell, as `nbactors/views/bar.py` draws them for notebooks without widgets. */
export function BarsPanel({ model, state }: { model: PanelModel; state: BarsState }) {
  return (
    <>
      {state.order.map((id) => {
        const row = state.rows[id];
        return row && <Bar key={id} model={model} id={id} row={row} />;
      })}
    </>
  );
}

function Bar({ model, id, row }: { model: PanelModel; id: string; row: BarRow }) {
  const { mark, note, rest, share, title } = row;
  const percent = share === null ? "" : `${String(Math.floor(share * 100)).padStart(3, "\u2007")}%\u2007`;
  return (
    <div class="nba-progress">
      {title !== "" && (
        <span class="nba-cut nba-title" title={row.tip}>
          {title}
        </span>
      )}
      {share !== null && (
        <span
          class="nba-track"
          role="progressbar"
          aria-label={title}
          aria-valuenow={Math.floor(share * 100)}
          aria-valuemin={0}
          aria-valuemax={100}
        >
          <i class={`nba-${mark}`} style={{ width: `${share * 100}%` }} />
        </span>
      )}
      <span class={`nba-figures${mark === "failed" ? " nba-failed" : ""}`}>
        <span>
          {percent}
          {row.units} [{row.took || <Clock model={model} since={row.since} />}
          {rest !== "" && `<${rest}`}
          {note !== "" && `, ${note}`}]
        </span>
        {row.button && (
          <CancelButton model={model} text="Cancel" label={`Cancel ${title}`} command={{ what: "cancel_bar", row: id }} />
        )}
      </span>
    </div>
  );
}
