import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect } from "@jest/globals";
import { temporaryFolder } from "../../files/temporary-folder";
import { onWindows, unless } from "../../skips";

unless(onWindows).test("a folder for temporary files that is not there is named", () => {
  const missing = path.join(temporaryFolder(), "nowhere");
  const session = path.join(__dirname, "../../../dist/engines/tensorflow/session.js");
  // In a process of its own: Node reads TMPDIR from the environment that Jest only copies.
  const script = `
    const { openTensorflowSession } = require(${JSON.stringify(session)});
    try { openTensorflowSession({}, new Uint8Array()); } catch ({ exitCode, message }) { console.log(exitCode + " " + message); }`;
  const env = { ...process.env, TMPDIR: missing };
  expect(spawnSync(process.execPath, ["-e", script], { env, encoding: "utf8" }).stdout).toBe(
    `1 cannot write to the folder for temporary files ${missing}: the folder cannot be made there. Give another folder in TMPDIR\n`,
  );
});
