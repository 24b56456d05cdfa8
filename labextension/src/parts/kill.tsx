import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button.js";

interface Props {
  /** What the question calls the actor. */
  name: string;
  detached: boolean;
  onKill: () => Promise<unknown>;
  onCancel: () => void;
}

/** Asks in its place whether to end an actor. For a detached actor, which others may use, the name has to be typed. */
export function KillQuestion({ name, detached, onKill, onCancel }: Props) {
  const typed = useSignal("");
  const first = useRef<HTMLDivElement>(null);
  useEffect(() => {
    first.current?.querySelector<HTMLElement>("input, button")?.focus();
  }, []);
  const isSure = !detached || typed.value === name;
  return (
    <div
      ref={first}
      class="nba-question"
      role="alertdialog"
      aria-label={`End ${name}?`}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") onCancel();
        if (event.key === "Enter" && detached && isSure) void onKill();
      }}
    >
      <span>
        {detached
          ? `${name} is detached: other notebooks may use it. Its state is lost. Type its name to end it:`
          : `End ${name}? Its state is lost, and its calls fail.`}
      </span>
      {detached && (
        <input
          class="nba-input"
          aria-label="The actor's name"
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
      )}
      <Button label="End it" danger disabled={!isSure} onClick={onKill} />
      <Button
        label="Keep it"
        onClick={() => {
          onCancel();
          return undefined;
        }}
      />
    </div>
  );
}
