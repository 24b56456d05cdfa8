/** The picture of a trace: pure arithmetic. Times in seconds, lengths in pixels. */
import type { Mark, Span } from "./protocol.js";

/** A part of the time, which the picture shows. */
export interface Range {
  from: number;
  to: number;
}

/** A span in its lane. */
export interface Placed {
  span: Span;
  lane: number;
}

/** The spans of one actor, or of the tasks. */
export interface Track {
  name: string;
  /** In the order of their begins, so that the bars of each lane go from left to right. */
  spans: Placed[];
  lanes: number;
  /** The first lane of the track, counted from the top of the picture. */
  top: number;
}

/** The shortest time that the picture shows. */
export const SHORTEST_S = 20e-6;

/** Spans overlap in so many lanes at most. Of more, only the runs have lanes of their own. */
export const QUEUE_LANES = 8;

/** Runs share lanes beyond so many. */
export const MOST_LANES = 24;

const begin = (span: Span): number => span.submitted || span.started || span.ended;
const end = (span: Span): number => span.ended || Infinity;

/** Returns the lane of each span, so that the spans of a lane do not overlap, and the number of lanes. */
function lanesOf(spans: Span[], from: (span: Span) => number, most: number): [Placed[], number] {
  const free: number[] = [];
  const placed = spans.map((span) => {
    const start = from(span);
    let lane = free.findIndex((until) => until <= start);
    if (lane < 0) lane = free.length < most ? free.length : free.indexOf(Math.min(...free));
    free[lane] = Math.max(free[lane] ?? 0, end(span));
    return { span, lane };
  });
  return [placed, free.length];
}

/** Returns the tracks of spans, in the order of their first calls. */
export function tracksOf(spans: Iterable<Span>): Track[] {
  const groups = new Map<string, Span[]>();
  for (const span of [...spans].sort((a, b) => begin(a) - begin(b) || Number(a.id) - Number(b.id))) {
    const group = groups.get(span.track);
    if (group === undefined) groups.set(span.track, [span]);
    else group.push(span);
  }
  let top = 0;
  return [...groups].map(([name, group]) => {
    let [placed, lanes] = lanesOf(group, begin, QUEUE_LANES + 1);
    if (lanes > QUEUE_LANES) {
      const run = (span: Span): number => span.started || span.ended || Infinity;
      const waits = group.filter((span) => run(span) === Infinity);
      const runs = group.filter((span) => run(span) < Infinity).sort((a, b) => run(a) - run(b));
      [placed, lanes] = lanesOf(runs, run, MOST_LANES);
      // What has not begun shares one lane.
      placed.push(...waits.map((span) => ({ span, lane: lanes })));
      if (waits.length > 0) lanes++;
    }
    const track = { name, spans: placed, lanes, top };
    top += lanes;
    return track;
  });
}

/** A rectangle of the picture, in pixels from the left. */
export interface Bar {
  left: number;
  right: number;
  lane: number;
  mark: Mark;
  isQueue: boolean;
  /** The span, or the first of those that are too short to be told apart. */
  span: Span;
  count: number;
}

/** Returns the bars of a track that the range shows. Neighbours that share a pixel and a mark are one bar. */
export function barsOf(track: Track, range: Range, now: number, width: number): Bar[] {
  const scale = width / (range.to - range.from);
  const bars: Bar[] = [];
  const latest = new Map<string, Bar>();
  const add = (from: number, to: number, { span, lane }: Placed, isQueue: boolean): void => {
    if (to < range.from || from > range.to || to < from) return;
    const left = Math.max(0, (from - range.from) * scale);
    const right = Math.max(left + 1, Math.min(width, (to - range.from) * scale));
    const key = `${lane} ${isQueue ? "queue" : span.mark}`;
    const before = latest.get(key);
    // Bars of one lane that wait overlap each other where their runs have lanes.
    const isSmall = (to - from) * scale <= 1 || isQueue;
    if (before !== undefined && isSmall && left >= before.left && left <= before.right + (isQueue ? 0 : 0.5)) {
      before.right = Math.max(before.right, right);
      before.count++;
      return;
    }
    const bar = { left, right, lane: track.top + lane, mark: span.mark, isQueue, span, count: 1 };
    latest.set(key, bar);
    bars.push(bar);
  };
  for (const placed of track.spans) {
    const { span } = placed;
    const until = span.ended || now;
    const started = span.started || until;
    if (span.submitted > 0 && started > span.submitted) add(span.submitted, started, placed, true);
    if (span.started > 0 || span.ended > 0) add(started, until, placed, false);
  }
  return bars;
}

/** Returns the placed span at a lane of a track and a time, the nearest one within `slack` seconds. */
export function spanAt(tracks: Track[], lane: number, time: number, now: number, slack: number): Span | undefined {
  const track = tracks.find((each) => lane >= each.top && lane < each.top + each.lanes);
  let nearest: Span | undefined;
  let distance = slack;
  for (const placed of track?.spans ?? []) {
    if (track !== undefined && track.top + placed.lane !== lane) continue;
    const { span } = placed;
    const until = span.ended || now;
    const run = span.started || until;
    // A run comes before a wait that lies under it.
    const away = time >= run && time <= until ? -1 : Math.max(begin(span) - time, time - until, 0);
    if (away < distance || (away === 0 && distance === 0)) [nearest, distance] = [span, away];
  }
  return nearest;
}

/** Returns a range within the whole, moved if it leaves it. */
export function within(range: Range, whole: Range): Range {
  const length = Math.min(Math.max(range.to - range.from, SHORTEST_S), whole.to - whole.from);
  const from = Math.min(Math.max(range.from, whole.from), whole.to - length);
  return { from, to: from + length };
}

/** Returns the range after a zoom: `factor` below 1 shows less time. The time `at` keeps its place. */
export function zoomed(range: Range, whole: Range, factor: number, at = (range.from + range.to) / 2): Range {
  const length = Math.max((range.to - range.from) * factor, SHORTEST_S);
  const from = at - ((at - range.from) * length) / (range.to - range.from);
  return within({ from, to: from + length }, whole);
}

/** Returns the range after a move by a share of its length. */
export function moved(range: Range, whole: Range, share: number): Range {
  const by = (range.to - range.from) * share;
  return within({ from: range.from + by, to: range.to + by }, whole);
}

/** A mark of the time axis. */
export interface Tick {
  at: number;
  label: string;
}

/** Returns a unit for labels up to `latest`, and its name: steps need at most three digits after the point. */
function units(step: number, latest: number): [number, string] {
  if (step >= 0.5 || (latest >= 1 && step >= 0.999e-3)) return [1, "s"];
  return step >= 0.5e-3 || (latest >= 1e-3 && step >= 0.999e-6) ? [1e-3, "ms"] : [1e-6, "µs"];
}

/** Returns about `most` ticks at round times after `origin`. */
export function ticksOf(range: Range, origin: number, most: number): Tick[] {
  const rough = (range.to - range.from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const [unit, name] = units(step, range.to - origin);
  const digits = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  const ticks: Tick[] = [];
  for (let number = Math.ceil((range.from - origin) / step - 1e-9); ticks.length <= 2 * most + 2; number++) {
    const at = origin + number * step;
    if (at > range.to) break;
    ticks.push({ at, label: `${((number * step) / unit).toFixed(digits)} ${name}` });
  }
  return ticks;
}
