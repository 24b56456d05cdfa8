import type { Mark } from "../protocol.js";

const SIGNS: Record<Mark, string> = {
  idle: "○",
  busy: "●",
  queued: "◌",
  waiting: "◔",
  starting: "◔",
  restarting: "↻",
  paused: "‖",
  done: "✓",
  failed: "✗",
  cancelled: "⊘",
  ended: "–",
};

/** The sign of a state, in its colour. Its word stands beside it, so a screen reader skips the sign. */
export function Sign({ mark }: { mark: Mark }) {
  return (
    <span class={`nba-sign nba-${mark}`} aria-hidden="true">
      {SIGNS[mark]}
    </span>
  );
}
