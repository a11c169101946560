import { expect, test } from "@jest/globals";
import { formatProblem, stamped } from "../../src/files/format";
import { packageVersion } from "../../src/files/version";

const own = packageVersion();

test.each([
  [{ format: 1 }, null],
  [{ format: 1, flexbert: "9.1.0" }, null],
  [{}, null],
  [null, null],
  ["text", null],
  [{ format: 0 }, "has format 0; this flexbert reads format 1"],
  [{ format: "new" }, 'has format "new"; this flexbert reads format 1'],
  [
    { format: 2 },
    `has format 2; this flexbert reads format 1. It was made by a newer flexbert; this is ${own}: update flexbert to read it`,
  ],
  [
    { format: 3, flexbert: "9.1.0" },
    `has format 3; this flexbert reads format 1. It was made by flexbert 9.1.0; this is ${own}: update flexbert to read it`,
  ],
])("the problem of %j is %j", (content, problem) => {
  expect(formatProblem(content, 1)).toBe(problem);
});

test("a file names the flexbert that writes it, whichever wrote it before", () => {
  expect(stamped({ format: 1, id: "a" })).toEqual({ format: 1, flexbert: own, id: "a" });
  expect(JSON.stringify(stamped({ id: "a", flexbert: "0.0.1", format: 1 }))).toBe(
    `{"format":1,"flexbert":"${own}","id":"a"}`,
  );
});
