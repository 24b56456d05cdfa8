import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef } from "preact/hooks";
import { Saved } from "./actor_panel.js";
import { count, took } from "./format.js";
import type { PanelModel } from "./model.js";
import { Button } from "./parts/button.js";
import type { Span, TraceState } from "./protocol.js";
import { type Bar, barsOf, moved, type Range, spanAt, ticksOf, type Track, tracksOf, within, zoomed } from "./trace_layout.js";

/** Heights in pixels. */
const LANE_PX = 18;
const LOW_LANE_PX = 9;
const AXIS_PX = 22;

/** From how many lanes on they are low. */
const LOW_FROM = 40;

/** How often the running end moves, in milliseconds. */
const MOVE_MS = 250;

/** The most names in bars, and the most lines from a call to its callees. */
const MOST_NAMES = 150;

/** A drag over fewer pixels is a click. */
const CLICK_PX = 4;

/** The id of the cell among the spans, which is the parent of its calls. */
const CELL = "";

/** Who called whom, and when. */
export function TracePanel({ model, state }: { model: PanelModel; state: TraceState }) {
  const said = useSignal("");
  const isBad = useSignal(false);
  const calls = state.functions.reduce((sum, row) => sum + row.count, 0);
  const failed = state.functions.reduce((sum, row) => sum + row.failed, 0);
  const facts = [
    `${count(calls)} ${calls === 1 ? "call" : "calls"}${state.ended > 0 ? ` in ${took(state.ended - state.began)}` : ""}`,
    state.live > 0 && `${count(state.live)} not ended`,
    failed > 0 && `${count(failed)} failed`,
  ];
  const save = async (): Promise<void> => {
    const answer = await model.do({ what: "timeline" });
    said.value = answer.text;
    isBad.value = !answer.ok;
  };
  return (
    <section class="nba-card" aria-label={`Trace of ${state.prompt}`}>
      <header class="nba-head">
        <b>Trace of {state.prompt}</b>
        <span class="nba-muted">{facts.filter(Boolean).join(" · ")}</span>
        <span class="nba-space" />
        <Button label="Save timeline" title="Write these calls to a file for Perfetto and Chrome" disabled={!model.isLive.value} onClick={save} />
      </header>
      <Graph model={model} state={state} />
      <Functions state={state} />
      {state.dropped > 0 && <div class="nba-empty">{count(state.dropped)} more calls are not drawn.</div>}
      {state.unlisted > 0 && <div class="nba-empty">{count(state.unlisted)} more short calls of these functions were counted only.</div>}
      <div class={isBad.value ? "nba-empty nba-error" : "nba-empty"} role="status">{said.value || state.note}</div>
      {!model.isLive.value && <Saved now={state.now} />}
    </section>
  );
}

function Functions({ state }: { state: TraceState }) {
  if (state.functions.length === 0) return null;
  return (
    <div class="nba-functions" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">function</th>
            <th scope="col">calls</th>
            <th scope="col">queued: median</th>
            <th scope="col">longest</th>
            <th scope="col">ran: median</th>
            <th scope="col">longest</th>
            <th scope="col">total</th>
            <th scope="col">failed</th>
          </tr>
        </thead>
        <tbody>
          {state.functions.map((row) => (
            <tr key={row.name}>
              <th scope="row" title={row.name}><code>{row.name}</code></th>
              <td>{count(row.count)}</td>
              {[row.queue?.[0], row.queue?.[1], row.run?.[0], row.run?.[1], row.run === null ? undefined : row.total].map((seconds, index) => (
                <td key={index}>{seconds === undefined ? "" : took(seconds)}</td>
              ))}
              <td class={row.failed > 0 ? "nba-error" : ""}>{row.failed > 0 ? count(row.failed) : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Graph({ model, state }: { model: PanelModel; state: TraceState }) {
  const place = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const zoom = useSignal<Range | null>(null);
  const hovered = useSignal<string | null>(null);
  const selected = useSignal<string | null>(null);
  const drag = useSignal<{ from: number; to: number } | null>(null);
  const [, move] = useReducer((number: number) => number + 1, 0);
  const runs = state.ended === 0 && model.isLive.value;

  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => (width.value = element.clientWidth));
    observer.observe(element);
    width.value = element.clientWidth;
    return () => {
      observer.disconnect();
    };
  }, [width]);
  useEffect(() => {
    if (!runs) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") move(0);
    }, MOVE_MS);
    return () => {
      clearInterval(timer);
    };
  }, [runs]);

  const cell: Span = {
    id: CELL,
    parent: "none",
    name: state.prompt,
    track: state.prompt,
    mark: state.cell_ended > 0 ? "idle" : "busy",
    submitted: 0,
    started: state.began,
    ended: state.cell_ended,
  };
  const tracks = useMemo(() => tracksOf([cell, ...Object.values(state.spans)]), [state.spans, state.cell_ended]);
  const now = state.ended > 0 ? state.ended : model.now();
  const whole = { from: state.began, to: Math.max(now, state.began + 0.01) };
  const range = zoom.value === null ? whole : within(zoom.value, whole);

  const lanes = tracks.reduce((sum, track) => sum + track.lanes, 0);
  const lanePx = lanes > LOW_FROM ? LOW_LANE_PX : LANE_PX;
  const gap = 6;
  const left = width.value < 560 ? 84 : 140;
  const inner = Math.max(50, width.value - left - 10);
  const x = (time: number): number => left + ((time - range.from) / (range.to - range.from)) * inner;
  const tops = new Map(tracks.map((track, index) => [track.name, track.top * lanePx + (index + 1) * gap]));
  const height = lanes * lanePx + (tracks.length + 1) * gap;

  const known = (id: string | null): Span | undefined => (id === null ? undefined : id === CELL ? cell : state.spans[id]);
  const shown = known(hovered.value) ?? known(selected.value);

  const timeAt = (event: PointerEvent | MouseEvent): number => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return range.from + ((event.clientX - box.left - left) / inner) * (range.to - range.from);
  };
  const at = (event: PointerEvent): string | null => {
    const y = event.clientY - (event.currentTarget as Element).getBoundingClientRect().top;
    const track = [...tracks].reverse().find((each) => y >= (tops.get(each.name) ?? 0));
    if (track === undefined) return null;
    const lane = track.top + Math.floor((y - (tops.get(track.name) ?? 0)) / lanePx);
    return spanAt([track], lane, timeAt(event), now, (3 / inner) * (range.to - range.from))?.id ?? null;
  };
  /** Shows a range; the whole follows the running end. */
  const show = (next: Range): void => {
    zoom.value = next.to - next.from < (whole.to - whole.from) * 0.999 ? next : null;
  };
  const reset = (): void => {
    zoom.value = null;
    drag.value = null;
  };
  const select = (step: number): void => {
    const order = tracks.flatMap((track) => track.spans.map((placed) => placed.span));
    const index = order.findIndex((span) => span.id === selected.value);
    const next = order[Math.min(Math.max(index + step, 0), order.length - 1)];
    if (next === undefined) return;
    hovered.value = null;
    selected.value = next.id;
    const middle = next.started || next.submitted;
    if (middle < range.from || middle > range.to) {
      const half = (range.to - range.from) / 2;
      show(within({ from: middle - half, to: middle + half }, whole));
    }
  };
  const keys: Record<string, () => void> = {
    ArrowLeft: () => { show(moved(range, whole, -0.2)); },
    ArrowRight: () => { show(moved(range, whole, 0.2)); },
    ArrowUp: () => { select(-1); },
    ArrowDown: () => { select(1); },
    "+": () => { show(zoomed(range, whole, 0.5)); },
    "=": () => { show(zoomed(range, whole, 0.5)); },
    "-": () => { show(zoomed(range, whole, 2)); },
    Escape: () => {
      reset();
      selected.value = hovered.value = null;
    },
  };
  const brush = drag.value;

  return (
    <div
      ref={place}
      class="nba-trace"
      tabIndex={0}
      role="application"
      aria-label="Timeline of the calls. Up and down choose a call, left and right move, plus and minus zoom, Escape shows all. The table below has the figures."
      onKeyDown={(event) => {
        const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
        if (act === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        act();
      }}
    >
      <Axis range={range} origin={state.began} x={x} width={width.value} most={inner / 90} />
      <div class="nba-tracks">
        <svg
          width={width.value}
          height={height}
          aria-hidden="true"
          onPointerDown={(event) => {
            if (event.button !== 0) return;
            event.currentTarget.setPointerCapture(event.pointerId);
            drag.value = { from: event.clientX, to: event.clientX };
          }}
          onPointerMove={(event) => {
            if (drag.value === null) hovered.value = at(event);
            else drag.value = { ...drag.value, to: event.clientX };
          }}
          onPointerUp={(event) => {
            const dragged = drag.value;
            drag.value = null;
            if (dragged === null) return;
            if (Math.abs(dragged.to - dragged.from) <= CLICK_PX) {
              selected.value = at(event);
              return;
            }
            const box = event.currentTarget.getBoundingClientRect();
            const time = (place: number): number =>
              range.from + ((place - box.left - left) / inner) * (range.to - range.from);
            const [from, to] = [Math.min(dragged.from, dragged.to), Math.max(dragged.from, dragged.to)];
            show(within({ from: time(from), to: time(to) }, whole));
          }}
          onPointerLeave={() => (hovered.value = null)}
          onDblClick={reset}
        >
          {tracks.map((track) => (
            <Names key={track.name} track={track} top={tops.get(track.name) ?? 0} lanePx={lanePx} left={left} width={width.value} />
          ))}
          <Bars tracks={tracks} tops={tops} range={range} now={now} left={left} inner={inner} lanePx={lanePx} />
          {shown !== undefined && <Links span={shown} spans={state.spans} cell={cell} tracks={tracks} tops={tops} lanePx={lanePx} x={x} now={now} left={left} />}
          {brush !== null && place.current !== null && (
            <rect
              class="nba-brush"
              x={Math.min(brush.from, brush.to) - place.current.getBoundingClientRect().left}
              y={0}
              width={Math.abs(brush.to - brush.from)}
              height={height}
            />
          )}
        </svg>
      </div>
      <div class="nba-told">
        <span class="nba-cut" aria-live="polite">
          {shown === undefined ? <span class="nba-muted">Drag to zoom, point at a call to see its caller.</span> : <Told span={shown} parent={known(shown.parent)} now={now} />}
        </span>
        <span class="nba-space" />
        {zoom.value !== null && (
          <Button
            label="Show all"
            onClick={() => {
              reset();
              return undefined;
            }}
          />
        )}
      </div>
    </div>
  );
}

function Told({ span, parent, now }: { span: Span; parent: Span | undefined; now: number }) {
  const until = span.ended || now;
  const queued = (span.started || until) - span.submitted;
  const parts = [
    parent !== undefined && `called by ${parent.name}`,
    span.submitted > 0 && `queued ${took(Math.max(0, queued))}`,
    span.started > 0 && `${span.ended > 0 ? "ran" : "runs for"} ${took(Math.max(0, until - span.started))}`,
    span.id !== CELL && (span.mark === "busy" ? "" : span.mark),
  ];
  return (
    <>
      <b>{span.name}</b> {parts.filter(Boolean).join(" · ")}
    </>
  );
}

function Axis({ range, origin, x, width, most }: { range: Range; origin: number; x: (time: number) => number; width: number; most: number }) {
  return (
    <svg class="nba-axis" width={width} height={AXIS_PX} aria-hidden="true">
      {ticksOf(range, origin, most).map((tick) => (
        <g key={tick.label} transform={`translate(${x(tick.at)} 0)`}>
          <path d={`M0 ${AXIS_PX - 5}v5`} />
          <text y={AXIS_PX - 8} text-anchor={x(tick.at) > width - 40 ? "end" : "middle"}>{tick.label}</text>
        </g>
      ))}
    </svg>
  );
}

function Names({ track, top, lanePx, left, width }: { track: Track; top: number; lanePx: number; left: number; width: number }) {
  const most = Math.floor((left - 14) / 7);
  // The end of a long name has the id, which tells the actors of a class apart.
  const name = track.name.length > most ? `${track.name.slice(0, most - 5)}…${track.name.slice(-4)}` : track.name;
  return (
    <g>
      <path class="nba-between" d={`M0 ${top + track.lanes * lanePx + 3}H${width}`} />
      <text x={10} y={top + Math.min(13, lanePx + 3)}>
        <title>{track.name}</title>
        {name}
      </text>
    </g>
  );
}

interface BarsProps {
  tracks: Track[];
  tops: Map<string, number>;
  range: Range;
  now: number;
  left: number;
  inner: number;
  lanePx: number;
}

/** All bars of a colour are one path: two thousand elements would take longer to draw than a frame lasts. */
function Bars({ tracks, tops, range, now, left, inner, lanePx }: BarsProps) {
  const paths = new Map<string, string[]>();
  const named: { bar: Bar; y: number }[] = [];
  for (const track of tracks) {
    const top = tops.get(track.name) ?? 0;
    for (const bar of barsOf(track, range, now, inner)) {
      const y = top + (bar.lane - track.top) * lanePx + 1;
      const kind = bar.isQueue ? "nba-queue" : `nba-${bar.mark}`;
      let parts = paths.get(kind);
      if (parts === undefined) paths.set(kind, (parts = []));
      const size = bar.right - bar.left;
      parts.push(`M${(left + bar.left).toFixed(1)} ${y}h${size.toFixed(1)}v${lanePx - 2}h-${size.toFixed(1)}z`);
      if (!bar.isQueue && bar.count === 1 && size >= 36 && lanePx === LANE_PX && named.length < MOST_NAMES && bar.span.id !== CELL) {
        named.push({ bar, y });
      }
    }
  }
  return (
    <>
      {[...paths].sort(([a]) => (a === "nba-queue" ? -1 : 1)).map(([kind, parts]) => (
        <path key={kind} class={`nba-span ${kind}`} d={parts.join("")} />
      ))}
      {named.map(({ bar, y }) => {
        const name = bar.span.name.slice(bar.span.name.lastIndexOf(".") + 1);
        const most = Math.floor((bar.right - bar.left - 8) / 6.5);
        return (
          <text key={bar.span.id} class="nba-in" x={left + bar.left + 4} y={y + 12}>
            {name.length > most ? `${name.slice(0, most - 1)}…` : name}
          </text>
        );
      })}
    </>
  );
}

interface LinksProps {
  span: Span;
  spans: Record<string, Span>;
  cell: Span;
  tracks: Track[];
  tops: Map<string, number>;
  lanePx: number;
  x: (time: number) => number;
  now: number;
  left: number;
}

/** The chosen call with a frame, and lines from its caller and to its callees. */
function Links({ span, spans, cell, tracks, tops, lanePx, x, now, left }: LinksProps) {
  const places = useMemo(() => {
    const found = new Map<string, number>();
    for (const track of tracks) {
      for (const placed of track.spans) found.set(placed.span.id, (tops.get(track.name) ?? 0) + placed.lane * lanePx);
    }
    return found;
  }, [tracks, lanePx]);
  const y = (each: Span): number => (places.get(each.id) ?? 0) + lanePx / 2;
  const held = (time: number): number => Math.max(x(time), left);
  const line = (from: Span, to: Span): string => {
    const [x1, x2] = [held(to.submitted || to.started), held(to.started || to.ended || now)];
    const bend = Math.max(12, (x2 - x1) / 2);
    return `M${x1} ${y(from)}C${x1 + bend} ${y(from)} ${x2 - bend} ${y(to)} ${x2} ${y(to)}`;
  };
  const caller = span.parent === CELL ? cell : spans[span.parent];
  const callees = Object.values(spans).filter((each) => each.parent === span.id).slice(0, MOST_NAMES);
  const from = held(span.submitted || span.started);
  const until = Math.max(from + 2, held(span.ended || now));
  return (
    <g class="nba-links">
      <rect x={from} y={y(span) - lanePx / 2} width={until - from} height={lanePx} rx={2} />
      {caller !== undefined && <path d={line(caller, span)} />}
      {callees.map((each) => <path key={each.id} class="nba-callee" d={line(span, each)} />)}
    </g>
  );
}
