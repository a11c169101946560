// The versions of a merged folder from the command line, on one that 0.1.0 made: what each command prints, and that a
// version is found by hash and by tag wherever a model is read.

import { cpSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { temporaryFolder } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const at = (file: string) => path.join(cwd, file);
const run = (line: string) => flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: at("cache") } });
const json = (line: string) => {
  const { status, stdout, stderr } = run(`${line} --json`);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
};
const predicted = (more = "") => run(`predict --engine wasm --format tsv ${more} film`).stdout.split("\n")[0];
let before: string;

beforeAll(() => {
  cpSync(path.join(__dirname, "../fixtures/v0.1.0"), cwd, { recursive: true });
  [{ version: before }] = json("history");
});

test("add makes a version, says that the folder is of another format now, and does not need the base", () => {
  const { status, stdout, stderr } = flexbert(
    ["add", "--task", "verdict", "--engine", "wasm", "--note", "the third"],
    // No base in this cache.
    { cwd, env: { FLEXBERT_CACHE: at("nothing") } },
  );
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^merged: 3 tasks, 2 shared \+ 5 task layers/m);
  expect(stdout).toMatch(/outputs closeness, mood, verdict; largest difference from the branches alone /);
  expect(stderr).toMatch(/merged was of format 1 and is of format 2 now, which flexbert 0\.1\.0 does not read/);
  expect(stderr).toMatch(/^merged: version [0-9a-f]{8}$/m);
});

test("what is there or not there decides between add and update; nothing new makes no version", () => {
  expect(run("add --task verdict")).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/has a task verdict already.* flexbert update/),
  });
  expect(run("update --task mnli")).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/has no task mnli\. It has closeness, mood, verdict\. /),
  });
  expect(run("update --merged nowhere --task mood")).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/nowhere is no merged model.*flexbert merge --out nowhere/),
  });
  expect(json("update --engine wasm --dry-run").map(({ task }: { task: string }) => task)).toEqual([
    "mood",
    "verdict",
    "closeness",
  ]);
  const updated = json("update --task verdict --engine wasm");
  expect(updated).toMatchObject({ isNew: false, onnx: { unchanged: ["closeness", "mood", "verdict"] } });
});

test("history, tag and diff", () => {
  expect(run("tag prod").stdout).toMatch(/^prod is [0-9a-f]{8}\n$/);
  expect(run(`tag first ${before.slice(0, 5)}`).stdout).toBe(`first is ${before}\n`);
  const { stdout } = run("history");
  expect(stdout).toMatch(/^\* [0-9a-f]{8} {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}add verdict +3 +prod +the third$/m);
  expect(stdout).toMatch(new RegExp(`^ {2}${before} .* merge +2 +first +a folder of format 1$`, "m"));
  const difference = run("diff first").stdout;
  expect(difference).toMatch(/^[0-9a-f]{8} -> [0-9a-f]{8}\n\+ verdict\n {4}fork: 1\n {4}layers: 3\n/);
  expect(difference).toMatch(/2 tasks unchanged: closeness, mood\n$/);
  expect(json("diff prod first")).toMatchObject({ to: before, tasks: [{ task: "verdict", change: "removed" }] });
});

test("remove, rollback, and --version wherever a model is read", () => {
  expect(run("remove").stderr).toMatch(/which tasks\? Give --task NAME/);
  expect(json("remove --task mood --engine wasm").tasks).toHaveLength(2);
  expect(predicted()).not.toMatch(/mood/);
  expect(predicted("--version prod")).toMatch(/mood/);
  expect(predicted("--version first")).toMatch(/mood/);
  expect(json("eval --engine wasm --task mood --version first")).toMatchObject([{ task: "mood" }]);
  expect(json("export onnx --version first --out first.onnx --engine wasm").outputs).toEqual(["closeness", "mood"]);
  expect(json("export saved-model --version first --out served/1 --engine wasm").signatures).toContain("mood");
  expect(run("submit --version none --out none.zip")).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/merged has no version "none".*flexbert history/),
  });
  const someRun = "checkpoints/tiny/closeness/finetune/k03-seed1-30fdb0b8";
  expect(run(`predict --model ${someRun} --version first film`)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/--version first is of a merged folder/),
  });
  expect(run("rollback --note oops").stdout).toMatch(
    /^merged: version \w{8} \(was \w{8}\), tasks closeness, mood, verdict$/m,
  );
  const { version, from } = json("rollback first");
  expect([version, predicted()]).toEqual([before, expect.stringMatching(/mood/)]);
  expect(readFileSync(at("merged/README.md"), "utf8")).toMatch(/# 2 tasks on one tiny/);
  expect(json("history").at(-1)).toMatchObject({ version, command: "rollback", isCurrent: true });
  expect(json("history").at(-2).version).toBe(from);
});

test("gc removes what nothing keeps, and says what it would", () => {
  expect(run("gc --dry-run").stdout).toMatch(/^merged: would remove 0 versions; 0 files, 0 B; 3 versions kept\n$/);
  const planned = json("gc --keep 0 --older-than 0s --dry-run");
  expect(planned).toMatchObject({ dryRun: true, removed: [expect.any(String)] });
  expect(json("gc --keep 0 --older-than 0s")).toEqual({ ...planned, dryRun: false });
  for (const file of planned.files) expect(existsSync(at(`merged/${file}`))).toBe(false);
  expect(run("gc --older-than soon").stderr).toMatch(/--older-than "soon": it takes a time such as 90s, 30m, 1h or 7d/);
  expect(run(`rollback ${planned.removed[0]}`)).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/was removed by gc/),
  });
  expect(predicted()).toMatch(/mood/);
});
