import { signal } from "@preact/signals";
import { clock, took } from "../format.js";
import type { PanelModel } from "../model.js";

/** Changes once a second, so that what shows a running time is drawn again. */
const tick = signal(0);
setInterval(() => {
  if (document.visibilityState === "visible") tick.value++;
}, 1000);

/** A time that runs, or the time that something took. */
export function Clock({ model, since, ended = 0 }: { model: PanelModel; since: number; ended?: number }) {
  if (since <= 0) return null;
  if (ended > 0) return <span class="nba-time">{took(ended - since)}</span>;
  tick.value satisfies number;
  return <span class="nba-time">{clock(model.now() - since)}</span>;
}
