import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

interface Props {
  label: string;
  title?: string;
  disabled?: boolean;
  danger?: boolean;
  /** Called on a click. The button shows that it waits until the promise is fulfilled. */
  onClick: () => Promise<unknown> | undefined;
  children?: ComponentChildren;
}

/** A button that takes no second click while the first one is under way. */
export function Button({ label, title, disabled = false, danger = false, onClick, children }: Props) {
  const waits = useSignal(false);
  const click = (event: Event): void => {
    event.stopPropagation();
    if (waits.value) return;
    waits.value = true;
    void Promise.resolve(onClick()).finally(() => {
      waits.value = false;
    });
  };
  return (
    <button
      type="button"
      class={`nba-button${danger ? " nba-danger" : ""}`}
      title={title ?? label}
      aria-label={children === undefined ? undefined : label}
      aria-busy={waits.value}
      disabled={disabled}
      onClick={click}
    >
      {children ?? label}
    </button>
  );
}
