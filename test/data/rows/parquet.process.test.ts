// Parquet whose metadata contradicts itself: an error (3), and no rejection that nobody waits for, which would end the
// process with a stack. In a process, because Jest cannot import hyparquet, which is an ES module alone.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { flexbert } from "../../cli/flexbert";
import { temporaryFolder } from "../../files/temporary-folder";

const cwd = temporaryFolder();
const good = readFileSync(path.join(__dirname, "../../fixtures/glue-exported/cola/train-00000-of-00001.parquet"));

test("a column of a row group that the schema does not have", () => {
  const init = ["tasks", "init", "rows.parquet", "--dry-run", "--columns", "text=sentence,label=label"];
  writeFileSync(path.join(cwd, "rows.parquet"), good);
  expect(flexbert(init, { cwd }).stderr).not.toMatch(/Parquet/);
  const bad = Buffer.from(good);
  // The metadata comes last, and in it the schema first.
  const metadata = bad.length - 8 - bad.readUInt32LE(bad.length - 8);
  bad.write("sentencf", bad.indexOf("sentence", metadata), "latin1");
  writeFileSync(path.join(cwd, "rows.parquet"), bad);
  const { status, stderr } = flexbert(init, { cwd });
  expect([status, stderr]).toEqual([
    3,
    expect.stringMatching(/^flexbert: [^\n]*its row groups have other columns than its schema[^\n]*\n$/),
  ]);
});
