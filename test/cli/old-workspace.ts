// A copy of what flexbert 0.1.0 left on disk (test/fixtures/v0.1.0/README.md), and today's command line in it.

import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect } from "@jest/globals";
import { temporaryFolder } from "../tiny";
import { flexbert } from "./flexbert";

const fixture = path.join(__dirname, "../fixtures/v0.1.0");

/** The copy is there from the first test on, and gone after the last one. */
export function oldWorkspace() {
  const cwd = temporaryFolder();
  const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
  /** The command lines that made the fixture. */
  const lines: Record<string, string> = JSON.parse(readFileSync(path.join(fixture, "expected/commands.json"), "utf8"));
  const read = (file: string) => readFileSync(path.join(cwd, file));
  const json = (file: string) => JSON.parse(read(file).toString());

  beforeAll(() => {
    cpSync(fixture, cwd, { recursive: true });
    for (const file of readdirSync(cwd, { recursive: true }).map(String)) {
      if (path.basename(file) !== "config.yaml") continue;
      const text = read(file).toString();
      writeFileSync(path.join(cwd, file), text.replaceAll("/FIXTURE", cwd));
    }
  });

  /** Runs a command line that must succeed. */
  function run(line: string): { stdout: string; stderr: string } {
    const { status, stdout, stderr } = flexbert(line.split(" "), { cwd, env });
    expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
    return { stdout, stderr };
  }

  return { cwd, env, lines, read, json, run };
}
