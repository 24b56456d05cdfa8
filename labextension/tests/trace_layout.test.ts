import { describe, expect, it } from "vitest";
import type { Span } from "../src/protocol.js";
import { type Bar, barsOf, MOST_LANES, moved, QUEUE_LANES, spanAt, ticksOf, tracksOf, within, zoomed } from "../src/trace_layout.js";

let ids = 0;

/** When the traces of these tests begin; a time of 0 stands for "not yet". */
const T0 = 1000;

/** Returns a span; its times are seconds after `T0`, null for "not yet". */
function span(submitted: number, started: number | null, ended: number | null, facts: Partial<Span> = {}): Span {
  const at = (time: number | null): number => (time === null ? 0 : T0 + time);
  const times = { submitted: at(submitted), started: at(started), ended: at(ended) };
  return { id: String(++ids), parent: "", name: "work", track: "tasks", mark: "done", ...times, ...facts };
}

describe("lanes", () => {
  it("holds spans that do not overlap in one lane", () => {
    const [track] = tracksOf([span(0, 1, 2), span(2, 3, 4), span(4, 4, 5)]);
    expect(track?.lanes).toBe(1);
  });

  it("stacks spans that overlap, and uses a free lane again", () => {
    const [track] = tracksOf([span(0, 1, 4), span(1, 1, 2), span(3, 3, 5)]);
    expect(track?.spans.map((placed) => placed.lane)).toEqual([0, 1, 1]);
  });

  it("keeps the lane of a span that goes on", () => {
    const [track] = tracksOf([span(0, 1, null, { mark: "busy" }), span(9, 9, 10)]);
    expect(track?.lanes).toBe(2);
  });

  it("has a track for each actor, in the order of the first calls, one below the other", () => {
    const tracks = tracksOf([span(5, 6, 7, { track: "b" }), span(0, 1, 8, { track: "a" }), span(0, 2, 9, { track: "a" })]);
    expect(tracks.map(({ name, top }) => [name, top])).toEqual([["a", 0], ["b", 2]]);
  });

  it("gives only runs a lane where many calls wait, and one lane to those that have not begun", () => {
    const serial = Array.from({ length: 500 }, (_, index) => span(0, index + 1, index + 2));
    const waiting = Array.from({ length: 500 }, () => span(0, null, null, { mark: "queued" }));
    const [track] = tracksOf([...serial, ...waiting]);
    expect(QUEUE_LANES).toBeLessThan(500);
    expect(track?.lanes).toBe(2);
  });

  it("has a bounded number of lanes", () => {
    const [track] = tracksOf(Array.from({ length: 300 }, () => span(0, 1, 100)));
    expect(track?.lanes).toBe(MOST_LANES);
  });
});

describe("bars", () => {
  /** Returns the bars in a picture of 1,000 pixels, at whole pixels. */
  const bars = (spans: Span[], from: number, to: number, now = 100): Bar[] =>
    tracksOf(spans)
      .flatMap((track) => barsOf(track, { from: T0 + from, to: T0 + to }, T0 + now, 1000))
      .map((bar) => ({ ...bar, left: Math.round(bar.left), right: Math.round(bar.right) }));

  it("shows the wait and the run of a call", () => {
    expect(bars([span(10, 20, 50)], 0, 100)).toMatchObject([
      { left: 100, right: 200, isQueue: true },
      { left: 200, right: 500, isQueue: false, mark: "done" },
    ]);
  });

  it("draws what runs up to now, and a failed call that never ran", () => {
    expect(bars([span(0, 40, null, { mark: "busy" })], 0, 100, 70)[1]).toMatchObject({ left: 400, right: 700 });
    expect(bars([span(10, null, 30, { mark: "failed" })], 0, 100)).toMatchObject([
      { left: 100, right: 300, isQueue: true },
      { left: 300, right: 301, mark: "failed" },
    ]);
  });

  it("leaves out what is outside of the range, and cuts what leaves it", () => {
    expect(bars([span(0, 0, 10), span(20, 20, 60), span(90, 90, 95)], 50, 80)).toMatchObject([{ left: 0, right: 333 }]);
  });

  it("merges neighbours that are shorter than a pixel, but never those of another mark", () => {
    const short = Array.from({ length: 1000 }, (_, index) => span(index / 128, index / 128, (index + 1) / 128));
    expect(bars(short, 0, 1000)).toHaveLength(1);
    expect(bars(short, 0, 1000)[0]?.count).toBe(1000);
    const other = { ...short[500], mark: "failed" } as Span;
    expect(bars([...short.slice(0, 500), other, ...short.slice(501)], 0, 1000).map((bar) => bar.mark)).toContain("failed");
    expect(bars(short, 0, 1)).toHaveLength(129);
  });
});

describe("the span at a place", () => {
  const [slow, quick] = [span(0, 0, 50), span(10, 60, 60.001)];
  const tracks = tracksOf([slow, quick]);

  it("is the one whose run or wait is there", () => {
    expect(spanAt(tracks, 0, T0 + 25, T0 + 100, 1)).toBe(slow);
    expect(spanAt(tracks, 1, T0 + 30, T0 + 100, 1)).toBe(quick);
    expect(spanAt(tracks, 1, T0 + 5, T0 + 100, 1)).toBeUndefined();
  });

  it("is found within the slack, since a short call has a pixel", () => {
    expect(spanAt(tracks, 1, T0 + 60.5, T0 + 100, 1)).toBe(quick);
  });

  it("prefers a run to the wait of a later call that shares its lane", () => {
    const runs = Array.from({ length: 20 }, (_, index) => span(0, index, index + 1));
    expect(spanAt(tracksOf(runs), 0, T0 + 7.5, T0 + 100, 1)).toBe(runs[7]);
  });
});

describe("zoom", () => {
  const whole = { from: 100, to: 200 };

  it("keeps the time under the pointer in its place", () => {
    expect(zoomed(whole, whole, 0.5, 120)).toEqual({ from: 110, to: 160 });
  });

  it("never leaves the whole, nor gets too short", () => {
    expect(zoomed({ from: 110, to: 160 }, whole, 10)).toEqual(whole);
    expect(moved({ from: 110, to: 160 }, whole, -0.5)).toEqual({ from: 100, to: 150 });
    expect(moved({ from: 110, to: 160 }, whole, 2)).toEqual({ from: 150, to: 200 });
    const { from, to } = within({ from: 150, to: 150 }, whole);
    expect(to - from).toBeGreaterThan(0);
  });
});

describe("ticks", () => {
  const labels = (from: number, to: number, most = 5): string[] => ticksOf({ from: T0 + from, to: T0 + to }, T0, most).map((tick) => tick.label);

  it("stands at round times after the begin", () => {
    expect(labels(0, 10)).toEqual(["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]);
    expect(labels(0, 0.01)).toEqual(["0 ms", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms"]);
    expect(labels(0, 1)).toEqual(["0.0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1.0 s"]);
    expect(labels(0, 0.00001)).toEqual(["0 µs", "2 µs", "4 µs", "6 µs", "8 µs", "10 µs"]);
  });

  it("begins within a zoomed range", () => {
    expect(labels(3.1, 3.9, 4)).toEqual(["3.2 s", "3.4 s", "3.6 s", "3.8 s"]);
  });
});
