import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { BUDGET_FILE, readBudget, writeBudget } from "../../../src/experiment/search/budget";
import { temporaryFolder } from "../../files/temporary-folder";

const asked = { seconds: 20, seed: 1 };
const good = { format: 1, ...asked, unitsPerSecond: 13_000, engine: "wasm", units: 260_000 };

test("a budget is read as it was written, and is one search's", async () => {
  const folder = temporaryFolder();
  expect(await readBudget(folder, asked)).toBeNull();
  await writeBudget(folder, asked, good);
  expect(await readBudget(folder, asked)).toMatchObject(good);
  await expect(readBudget(folder, { seconds: 20, seed: 2 })).rejects.toMatchObject({ exitCode: 2 });
});

test.each<[object, string]>([
  [{ seconds: undefined }, "it has no seconds"],
  [{ seconds: 0 }, "its seconds is 0"],
  [{ seed: 0.5 }, "its seed is 0.5"],
  [{ unitsPerSecond: -1 }, "its unitsPerSecond is -1"],
  [{ units: "many" }, 'its units is "many"'],
  [{ units: -4 }, "its units is -4"],
  [{ engine: { toString: 1 } }, 'its engine is {"toString":1}'],
])("%j is named: %s", async (change, problem) => {
  const folder = temporaryFolder();
  const file = path.join(folder, BUDGET_FILE);
  writeFileSync(file, JSON.stringify({ ...good, ...change }));
  await expect(readBudget(folder, asked)).rejects.toMatchObject({
    exitCode: 4,
    message: `${file} is damaged (${problem}). Remove it: the rate is measured again`,
  });
});
