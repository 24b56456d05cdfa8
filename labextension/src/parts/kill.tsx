import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button.js";
import { t } from "../words.js";

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
      aria-label={t("End %1?", name)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") onCancel();
        if (event.key === "Enter" && detached && isSure) void onKill();
      }}
    >
      <span>
        {detached
          ? t("%1 is detached: other notebooks may use it. Its state is lost. Type its name to end it:", name)
          : t("End %1? Its state is lost, and its calls fail.", name)}
      </span>
      {detached && (
        <input
          class="nba-input"
          aria-label={t("The actor's name")}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
      )}
      <Button label={t("End it")} danger disabled={!isSure} onClick={onKill} />
      <Button
        label={t("Keep it")}
        onClick={() => {
          onCancel();
          return undefined;
        }}
      />
    </div>
  );
}
