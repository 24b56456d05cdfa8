import { expect, test } from "vitest";
import { bytes, clock, span, took } from "../src/format.js";

test.each([
  [0, "00:00"],
  [42.9, "00:42"],
  [3723, "1:02:03"],
  [-3, "00:00"],
])("the clock shows %d s as %s", (seconds, text) => {
  expect(clock(seconds)).toBe(text);
});

test.each([
  [0, "0 s"],
  [240, "4 min"],
  [7300, "2 h"],
  [200_000, "2 d"],
])("a span of %d s is %s", (seconds, text) => {
  expect(span(seconds)).toBe(text);
});

test.each([
  [0.0000123, "12 µs"],
  [0.0032, "3.2 ms"],
  [0.123, "123 ms"],
  [0.999, "999 ms"],
  [2.34, "2.3 s"],
  [59.94, "59.9 s"],
  [75, "01:15"],
])("%d s took %s", (seconds, text) => {
  expect(took(seconds)).toBe(text);
});

test.each([
  [0, ""],
  [512, "512 B"],
  [149_000_000, "142 MiB"],
  [1_610_612_736, "1.5 GiB"],
])("%d bytes are %s", (amount, text) => {
  expect(bytes(amount)).toBe(text);
});
