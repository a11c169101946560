// What --dry-run says of a merge, it does not do.

import { expect, test } from "@jest/globals";
import { flexbert } from "./flexbert";
import { oldWorkspace } from "./old-workspace";

const { cwd, env, read, run } = oldWorkspace();

test("merge --remove --dry-run names what would stay, and takes nothing out", () => {
  const before = read("merged/flexbert.json");
  expect(run("merge --out merged --remove mood --dry-run").stdout).toBe("merged would keep closeness\n");
  const kept = JSON.parse(run("merge --out merged --remove mood --dry-run --json").stdout);
  expect(kept.map(({ name }: { name: string }) => name)).toEqual(["closeness"]);
  const line = ["merge", "--out", "merged", "--remove", "verdict", "--dry-run"];
  expect(flexbert(line, { cwd, env })).toMatchObject({ status: 2, stdout: "" });
  expect(read("merged/flexbert.json").equals(before)).toBe(true);
});
