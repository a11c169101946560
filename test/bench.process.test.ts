// The scripts under bench/ take hours, and the tests do not run them; what they import and require must be there.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";

const folder = path.join(__dirname, "../bench");
const files = (readdirSync(folder, { recursive: true }) as string[]).sort();
const scripts = files.filter((file) => file.endsWith(".mjs"));
const text = (file: string) => readFileSync(path.join(folder, file), "utf8");
const run = (program: string, args: readonly string[]) => spawnSync(program, args, { cwd: folder, encoding: "utf8" });

test.each(scripts)("%s loads", (script) => {
  const { status, stdout, stderr } = run(process.execPath, [script, "--help"]);
  expect([status, stderr]).toEqual([0, ""]);
  // A script says what it is for; what others import says nothing.
  if (text(script).includes("showUsage(import.meta.url)")) expect(stdout).toContain(text(script).slice(3, 60));
  else expect(stdout).toBe("");
});

test("what scripts take from dist/ is there, by its name", () => {
  const missing: string[] = [];
  let taken = 0;
  for (const script of scripts) {
    // const { a, b } = require("../dist/x.js"), and the same through createRequire(...)
    for (const [, names = "", file = ""] of text(script).matchAll(
      /\{([^{}=]*)\} = [^;]*?\("([./]+\/dist\/[^"]+)"\)/g,
    )) {
      const exported = require(path.join(folder, path.dirname(script), file));
      for (const name of names.split(",").map((one) => one.trim())) {
        taken++;
        if (!(name in exported)) missing.push(`${script}: ${name} of ${file}`);
      }
    }
    for (const [, file = ""] of text(script).matchAll(/"([./]+\/(?:dist|bin)\/[^"]+)"/g)) {
      if (!existsSync(path.join(folder, path.dirname(script), file))) missing.push(`${script}: ${file}`);
    }
  }
  expect(missing).toEqual([]);
  expect(taken).toBeGreaterThan(25);
});

test.each(files.filter((file) => file.endsWith(".sh")))("%s is a script that bash can read", (script) => {
  const { status, stderr } = run("bash", ["-n", script]);
  expect([status, stderr]).toEqual([0, ""]);
});
