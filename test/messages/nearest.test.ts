import { describe, expect, test } from "@jest/globals";
import { didYouMean, nearest } from "../../src/messages/nearest";

describe("nearest", () => {
  const names = ["cola", "sst2", "mrpc", "stsb", "rte", "wnli"];

  test.each([
    ["rt", "rte"], // a letter missing
    ["colla", "cola"], // a letter too many
    ["mrcp", "mrpc"], // neighbours swapped: one step, not two
    ["SST2", "sst2"], // the other case
  ])("takes %s for %s", (word, name) => {
    expect(nearest(word, names)).toBe(name);
  });

  test("finds nothing near where nothing is", () => {
    expect(nearest("weather", names)).toBeUndefined();
    expect(nearest("", names)).toBeUndefined();
    expect(nearest("rte", [])).toBeUndefined();
  });

  test("compares no texts of a thousand letters, which would take their square", () => {
    const long = "x".repeat(100_000);
    expect(nearest(`${long}y`, [long])).toBeUndefined();
    expect(nearest("label", [long, "labels"])).toBe("labels");
  });

  test("counts a swap as one step, so that it beats two substitutions", () => {
    expect(nearest("abdc", ["abxy", "abcd"])).toBe("abcd");
  });

  test("words a hint for an error", () => {
    expect(didYouMean("rt", names)).toBe(' (did you mean "rte"?)');
    expect(didYouMean("weather", names)).toBe("");
  });
});
