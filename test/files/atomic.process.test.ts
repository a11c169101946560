import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { isTemporaryName, temporaryOwner } from "../../src/files/atomic";
import { compileSources } from "./compiled-sources";
import { temporaryFolder } from "./temporary-folder";

test("a process killed while it writes leaves the old content and a temporary file that names its writer", async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, "a.bin");
  writeFileSync(file, "old");
  const sources = compileSources([
    "errors/errors.ts",
    "files/atomic.ts",
    "files/process-start.ts",
    "files/storage-failure.ts",
  ]);
  const script = `
    const { writeFileAtomic } = require("./files/atomic.js");
    function* chunks() {
      for (;;) { yield Buffer.alloc(4096, 1); if (!said) { said = true; console.log("writing"); } }
    }
    let said = false;
    writeFileAtomic(${JSON.stringify(file)}, chunks());`;
  const child = spawn(process.execPath, ["-e", script], { cwd: sources, stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(readFileSync(file, "utf8")).toBe("old");
  const [left = "", ...others] = readdirSync(folder).filter((name) => name !== "a.bin");
  expect(others).toEqual([]);
  expect(isTemporaryName(left)).toBe(true);
  expect(temporaryOwner(left)).toBe(child.pid);
});
