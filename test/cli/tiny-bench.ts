// A tiny base to measure, in a folder that each test file that imports this has to itself.

import path from "node:path";
import { beforeAll } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase } from "../tiny";
import { flexbert } from "./flexbert";

export const cwd = temporaryFolder();
/** TensorFlow may be installed where the tests run; here it is absent. */
export const env = { FLEXBERT_CACHE: path.join(cwd, "cache"), FLEXBERT_TFJS_NODE: path.join(cwd, "no-tensorflow") };
export const run = (line: string, more: Record<string, string> = {}) =>
  flexbert(line.split(" "), { cwd, env: { ...env, ...more } });
export const tiny = "bench --base ./tiny --k 2 --batch-size 4";
export const { config } = tinyBase("tiny", { layers: 3 });

beforeAll(() => writeBase(tinyBase("tiny", { layers: 3 }), path.join(cwd, "tiny")));
