// What is asked of exits: shares in percent become fractions, and a budget stands alone.

import { expect, test } from "@jest/globals";
import { askedOf } from "../../src/exits/asked";

test("a share to keep, or a budget", () => {
  expect(askedOf({})).toEqual({ promise: { keep: 0.99, confidence: 0.95 } });
  expect(askedOf({ keep: 80 })).toEqual({ promise: { keep: 0.8, confidence: 0.95 } });
  expect(askedOf({ budget: 3.5 })).toEqual({ budget: 3.5 });
});

test("not both, not even the default: nobody would say which was taken", () => {
  expect(() => askedOf({ budget: 3, keep: 99 })).toThrow(/--budget 3 beside --keep 99: .* promises nothing/);
  expect(() => askedOf({ budget: 3, keep: 90, confidence: 80 })).toThrow(/beside --keep 90 and --confidence 80/);
});
