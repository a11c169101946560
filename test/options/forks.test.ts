import { expect, test } from "@jest/globals";
import { fitForks, forkRange } from "../../src/options/forks";
import { readGiven } from "../../src/options/given";
import { fitLayers, layerRange } from "../../src/options/layers";
import { option } from "../../src/options/option";

const names = { forks: "student-forks", layers: "student-layers" };

function fitted(forks: string, layers: string, total = 6) {
  const range = layerRange({ full: false })(layers);
  const { values } = fitLayers(names.layers, range, total);
  const { places, note } = fitForks(names, forkRange(forks), { range, values }, total);
  return { places: places.map(({ fork, layers: own }) => `${fork}:${own}`).join(" "), note };
}

test.each([
  ["same", ["same"], []],
  ["2-4", [2, 3, 4], []],
  ["4,2, same", ["same", 2, 4], [4, 2]],
  ["0", [0], [0]],
  ["1-2,2-3", [1, 2, 3], []],
])("%s", (text, values, singles) => {
  expect(forkRange(text)).toEqual({ text, values, singles });
  expect(forkRange(forkRange(text))).toEqual(forkRange(text));
});

test.each(["", "full", "-1", "3-2", "1.5", "2-", "same-3", "1,,2"])("%j is no fork", (text) => {
  expect(() => forkRange(text)).toThrow("forks such as same, 2-5, 3 or same,2,4");
});

test("lists of a YAML file are read too", () => {
  expect(forkRange(["same", 3]).values).toEqual(["same", 3]);
  expect(forkRange(3).values).toEqual([3]);
});

test("from the shallowest fork to the deepest, the teacher's first; above each from the most layers to the fewest", () => {
  expect(fitted("3,same,1", "1,2")).toEqual({ places: "same:2 same:1 1:2 1:1 3:2 3:1", note: null });
  expect(fitted("0", "6")).toEqual({ places: "0:6", note: null });
});

test("what a range has no room for is cut, and said so", () => {
  expect(fitted("2-5", "1-2")).toEqual({
    places: "2:2 2:1 3:2 3:1 4:2 4:1 5:1",
    note: "student-forks 2-5: the base has 6 layers, running students of 1 on 2-5; 2 on 2-4",
  });
  expect(fitted("same,4-9", "1-3")).toEqual({
    places: "same:3 same:2 same:1 4:2 4:1 5:1",
    note: "student-forks same,4-9: the base has 6 layers, running students of 1 on same,4-5; 2 on same,4; 3 on same",
  });
});

test.each([
  [
    "6",
    "1",
    "--student-forks 6: the base has 6 layers, and above fork 6 there is no room for 1. Give forks of at most 5",
  ],
  [
    "3,5",
    "2",
    "--student-forks 3,5: the base has 6 layers, and above fork 5 there is no room for 2. Give forks of at most 4",
  ],
  [
    "6-9",
    "1",
    "--student-forks 6-9: the base has 6 layers, and above fork 6 there is no room for 1. Give forks of at most 5",
  ],
  [
    "same,6-9",
    "1",
    "--student-forks same,6-9: the base has 6 layers, and above fork 6 there is no room for 1. Give forks of at most 5",
  ],
  [
    "4",
    "1,3",
    "--student-layers 1,3: the base has 6 layers, and above fork 4 there is no room for 3. Give at most 2, or a shallower --student-forks",
  ],
])("--student-forks %s with %s layers is refused", (forks, layers, message) => {
  expect(() => fitted(forks, layers)).toThrow(message);
  expect(() => fitted(forks, layers)).toThrow(expect.objectContaining({ exitCode: 2 }));
});

test("a library's caller gives forks as the command line has them, as a list or as one number", () => {
  const definitions = { forks: option(forkRange, { flag: "--forks", value: "<forks>", help: "", fallback: "same" }) };
  expect(readGiven(definitions, { forks: "2-4" }).forks.values).toEqual([2, 3, 4]);
  expect(readGiven(definitions, { forks: ["same", 3] }).forks.values).toEqual(["same", 3]);
  expect(readGiven(definitions, { forks: 3 }).forks.singles).toEqual([3]);
});
