import { useEffect, useRef } from "preact/hooks";
import { ActorPanel } from "./actor_panel.js";
import { BarsPanel } from "./bars_panel.js";
import { LinePanel } from "./line_panel.js";
import type { PanelModel } from "./model.js";
import { SessionPanel } from "./session_panel.js";
import { TracePanel } from "./trace_panel.js";

/** How often a visible panel tells the kernel that it still is, in milliseconds. */
const LOOK_MS = 10_000;

/** A panel of any kind. It has the kernel send changes only while it is on the screen. */
export function Panel({ model }: { model: PanelModel }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => watchVisibility(place.current, model), [model]);
  const state = model.state.value;
  return (
    <div ref={place} class="nba">
      {state.view === "actor" && <ActorPanel model={model} state={state} />}
      {state.view === "session" && <SessionPanel model={model} state={state} />}
      {state.view === "line" && <LinePanel model={model} state={state} />}
      {state.view === "bars" && <BarsPanel model={model} state={state} />}
      {state.view === "trace" && <TracePanel model={model} state={state} />}
    </div>
  );
}

function watchVisibility(place: HTMLElement | null, model: PanelModel): (() => void) | undefined {
  if (place === null) return undefined;
  let isOnScreen = false;
  let isVisible = false;
  const look = (): void => {
    const now = isOnScreen && document.visibilityState === "visible";
    if (now !== isVisible) model.look((isVisible = now));
  };
  const observer = new IntersectionObserver((entries) => {
    isOnScreen = entries.at(-1)?.isIntersecting ?? false;
    look();
  });
  observer.observe(place);
  document.addEventListener("visibilitychange", look);
  const timer = setInterval(() => {
    model.keepLooking();
  }, LOOK_MS);
  return () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", look);
    clearInterval(timer);
    if (isVisible) model.look(false);
  };
}
