import { expect, test } from "@jest/globals";
import { formatCount, formatSeconds } from "../../src/messages/quantities";

test.each([
  [0.44, "0.4 s"],
  [59.4, "59 s"],
  [185, "3 min 5 s"],
  [7830, "2 h 10 min"],
])("%d seconds", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test.each([
  [950, "950"],
  [12_345, "12.3 k"],
  [66_100_000, "66.1 M"],
])("%d parameters", (count, text) => {
  expect(formatCount(count)).toBe(text);
});
