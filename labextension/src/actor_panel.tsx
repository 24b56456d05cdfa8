import { useSignal } from "@preact/signals";
import { bytes, count, span } from "./format.js";
import type { PanelModel } from "./model.js";
import { Button } from "./parts/button.js";
import { Clock } from "./parts/clock.js";
import { Detail, type Shown } from "./parts/detail.js";
import { KillQuestion } from "./parts/kill.js";
import { Sign } from "./parts/sign.js";
import { Slots } from "./parts/slots.js";
import { Spark } from "./parts/spark.js";
import type { ActorState, CallState, Command } from "./protocol.js";

/** One actor: its state, what it runs, and what can be done about it. */
export function ActorPanel({ model, state }: { model: PanelModel; state: ActorState }) {
  const shown = useSignal<Shown | null>(null);
  const asksToKill = useSignal(false);
  const isAlive = state.mark !== "failed" && state.mark !== "ended";
  const isOff = !model.isLive.value;
  const hasProcess = isAlive && state.pid > 0;
  const runs = state.calls.filter((call) => call.mark === "busy" || call.mark === "paused");
  const actor = state.id;

  const show = async (title: string, command: Command): Promise<void> => {
    const answer = await model.do(command);
    shown.value = { title: `${title} of ${state.name}`, text: answer.text };
  };
  const act = async (command: Command): Promise<void> => {
    const answer = await model.do(command);
    if (!answer.ok) shown.value = { title: "That did not work", text: answer.text };
  };
  const kill = async (): Promise<void> => {
    asksToKill.value = false;
    await act({ what: "kill", actor });
  };

  return (
    <section class="nba-card" aria-label={`Actor ${state.name}`}>
      <header class="nba-head">
        <Sign mark={state.mark} />
        <b class="nba-cut">{state.name}</b>
        <span class="nba-muted nba-cut">{facts(state, model)}</span>
        <span class="nba-space" />
        <span class="nba-buttons">
        <Button
          label="Interrupt"
          title="Interrupt what it runs (KeyboardInterrupt in the method)"
          disabled={isOff || !hasProcess || runs.every((call) => call.creation)}
          onClick={() => act({ what: "interrupt", actor })}
        />
        <Button label="Stack" title="Where its code is now" disabled={isOff || !hasProcess} onClick={() => show("Stack", { what: "stack", actor })} />
        <Button label="Profile" title="Where its time goes, over 3 seconds" disabled={isOff || !hasProcess} onClick={() => show("Profile", { what: "profile", actor })} />
        <Button label="Log" title="The latest lines that it has printed" disabled={isOff} onClick={() => show("Log", { what: "log", actor })} />
        <Button
          label="Kill"
          title="End the actor"
          disabled={isOff || !isAlive}
          onClick={() => {
            asksToKill.value = !asksToKill.value;
            return undefined;
          }}
        />
        </span>
      </header>
      {asksToKill.value && (
        <KillQuestion
          name={state.name}
          detached={state.detached}
          onKill={kill}
          onCancel={() => {
            asksToKill.value = false;
          }}
        />
      )}
      <div class="nba-line">
        <span class="nba-cut">
          <span aria-live="polite">{state.word}</span> {runs[0] !== undefined && <Clock model={model} since={runs[0].since} />}
        </span>
        <span>
          queue <b>{count(state.queued)}</b>
        </span>
        <span>
          done <b>{count(state.done)}</b>
        </span>
        {state.failed > 0 && (
          <span class="nba-error">
            failed <b>{count(state.failed)}</b>
          </span>
        )}
        <span class="nba-graph">
          <span class="nba-muted nba-time">{figure(state.cpu.at(-1))}</span>
          <Spark figures={state.cpu} top={100} label={`CPU over the last ${state.cpu.length} s`} />
        </span>
        <span class="nba-graph">
          <span class="nba-muted nba-time">{bytes(state.memory.at(-1) ?? 0)}</span>
          <Spark figures={state.memory} top={1} label={`Memory over the last ${state.memory.length} s`} />
        </span>
      </div>
      {state.cause !== "" && <pre class="nba-cause">{state.cause}</pre>}
      {state.groups.length > 0 && isAlive && (state.groups.length > 1 || (state.groups[0]?.size ?? 1) > 1) && (
        <div class="nba-groups">
          {state.groups.map((group) => (
            <Slots key={group.name} group={group} calls={state.calls} />
          ))}
        </div>
      )}
      {state.calls.length > 0 && (
        <ul class="nba-calls" aria-label="Calls" tabIndex={0}>
          {state.calls.map((call) => (
            <Call
              key={call.id}
              call={call}
              model={model}
              isOff={isOff}
              onCancel={() => act({ what: "cancel", call: call.id })}
              onKill={() => {
                asksToKill.value = true;
              }}
            />
          ))}
        </ul>
      )}
      {state.error !== null && (
        <details class="nba-last-error">
          <summary>
            Latest error, in {state.error.call}: <span class="nba-error">{state.error.what}</span>
          </summary>
          <pre tabIndex={0}>{state.error.text}</pre>
        </details>
      )}
      {state.log.length > 0 && shown.value === null && (
        <pre class="nba-log">{state.log.join("\n")}</pre>
      )}
      {shown.value !== null && (
        <Detail
          shown={shown.value}
          onClose={() => {
            shown.value = null;
          }}
        />
      )}
      {isOff && <Saved now={state.now} />}
    </section>
  );
}

interface CallProps {
  call: CallState;
  model: PanelModel;
  isOff: boolean;
  onCancel: () => Promise<void>;
  /** Asks whether to end the actor. */
  onKill: () => void;
}

function Call({ call, model, isOff, onCancel, onKill }: CallProps) {
  const cancelled = useSignal(false);
  const args = call.args?.map(([name, text]) => (name === "" ? text : `${name}=${text}`)).join(", ");
  const short = call.name.slice(call.name.lastIndexOf(".") + 1);
  return (
    <li class="nba-call">
      <Sign mark={call.mark} />
      <span class="nba-cut" title={args}>
        <code>
          {short}({args ?? "…"})
        </code>
      </span>
      <span class="nba-muted nba-cut">{cancelled.value ? "cancelling …" : call.mark === "busy" ? "" : call.word}</span>
      <Clock model={model} since={call.since} />
      <span class="nba-muted nba-cell">{call.cell}</span>
      {call.creation ? (
        <Button
          label={`Kill, since ${call.name} cannot be cancelled`}
          title="A constructor cannot be cancelled: end the actor"
          disabled={isOff}
          onClick={() => {
            onKill();
            return undefined;
          }}
        >
          Kill
        </Button>
      ) : (
      <Button
        label={`Cancel ${call.name}`}
        title={call.mark === "queued" ? "Cancel: it will never run" : "Cancel: the method is interrupted"}
        disabled={isOff}
        onClick={() => {
          cancelled.value = true;
          return onCancel().finally(() => {
            cancelled.value = false;
          });
        }}
      >
        Cancel
      </Button>
      )}
    </li>
  );
}

/** Says that a panel shows a saved state. */
export function Saved({ now }: { now: number }) {
  return <div class="nba-saved">As it was on {new Date(now * 1000).toLocaleString()}: its kernel does not run any more.</div>;
}

function facts(state: ActorState, model: PanelModel): string {
  const parts = [state.cls];
  if (state.detached) parts.push("detached");
  if (state.pid > 0) parts.push(`pid ${state.pid}`);
  if (state.since > 0 && state.pid > 0) parts.push(`up ${span(model.now() - state.since)}`);
  if (state.restarts > 0) parts.push(state.restarts === 1 ? "1 restart" : `${count(state.restarts)} restarts`);
  return parts.join(" · ");
}

function figure(perCent: number | undefined): string {
  return perCent === undefined ? "" : `${Math.round(perCent)} % CPU`;
}
