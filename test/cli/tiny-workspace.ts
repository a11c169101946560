// A folder with a tiny base in its cache and GLUE-like data, and the command line in it.

import path from "node:path";
import { beforeAll, expect } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { cachedFolder } from "../../src/files/cache";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

/** There from the first test on. @param lines commands that have run by then */
export function tinyWorkspace(lines: readonly string[]) {
  const cwd = temporaryFolder();
  const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
  const run = (line: string, more: Record<string, string> = {}) =>
    flexbert(line.split(" "), { cwd, env: { ...env, ...more } });

  beforeAll(async () => {
    await writeBase(tinyBase("tiny"), cachedFolder("tiny", env.FLEXBERT_CACHE));
    writeTinyGlue(path.join(cwd, "glue-data"));
    for (const line of lines) {
      const { status, stderr } = run(line);
      expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
    }
  });

  return { cwd, run };
}
