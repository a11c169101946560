// The rows of a task as the peers' scripts read them: JSON lines of split, text, pair, label.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const { readSplit } = createRequire(import.meta.url)("../../dist/data/read-split.js");

/** Train rows (the first `maxTrainRows`, or all) and dev rows. */
export async function writeRows(file, task, { glueData, maxTrainRows }) {
  const lines = [];
  for (const split of ["train", "dev"]) {
    const limit = split === "train" && maxTrainRows !== undefined ? { maxRows: maxTrainRows } : {};
    const { examples } = await readSplit(task, split, { glueData, skipBroken: true, ...limit });
    for (const { text, pair, label } of examples) lines.push(JSON.stringify({ split, text, pair, label }));
  }
  writeFileSync(file, `${lines.join("\n")}\n`);
}
