// Merged folders of random weights for the serving benches, and texts for them.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { makeMerged } from "../peers/random-merged.mjs";
import { bin } from "./server.mjs";

const { readServed } = createRequire(import.meta.url)("../../dist/serve/model/served.js");

/** `own` layers in all above `fork`, on tasks that have as many as each other or one more. */
export const tasksAbove = (fork, own, count) =>
  Array.from({ length: count }, (_, i) => ({
    name: `task${String(i).padStart(2, "0")}`,
    fork,
    layers: Math.floor(own / count) + (i < own % count ? 1 : 0),
  }));

/** Makes the folder, unless it is there. @returns the merged folder, and what was made of it */
export async function randomModel(out, { size, tasks, weights }) {
  const folder = path.join(out, "merged");
  if (!existsSync(folder)) await makeMerged(out, size, tasks, false);
  if (weights === "int8" && (await readServed(folder, {})).precision !== "int8") {
    execFileSync(process.execPath, [bin, "quantize", "--merged", folder, "--quiet"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
  return { folder, served: await readServed(folder, { weights }) };
}

/** Bodies of requests of `shortest` to `longest` tokens, the same at every call. */
export const randomTexts = (count, [shortest, longest]) =>
  Array.from({ length: count }, (_, row) => {
    const words = shortest - 2 + ((row * 7919) % (longest - shortest + 1));
    return { text: Array.from({ length: words }, (_, i) => `w${(row * 31 + i * 7919) % 30000}`).join(" ") };
  });
