import { useSignal } from "@preact/signals";
import type { PanelModel } from "../model.js";
import type { Command } from "../protocol.js";
import { Button } from "./button.js";

interface Props {
  model: PanelModel;
  text: string;
  label: string;
  title?: string;
  command: Command;
}

/** A button that ends something. If the kernel cannot do it, the button's place tells why. */
export function CancelButton({ model, text, label, title = label, command }: Props) {
  const problem = useSignal("");
  const click = async (): Promise<void> => {
    const answer = await model.do(command);
    problem.value = answer.ok ? "" : answer.text;
  };
  return (
    <>
      <Button label={label} title={title} disabled={!model.isLive.value} onClick={click}>
        {text}
      </Button>
      {problem.value !== "" && <span class="nba-error">{problem.value}</span>}
    </>
  );
}
