// The command that brings an optional package which npm left out: it does so, without a word, where the package's own
// install script fails (both engines' scripts download from outside the npm registry), or a registry lacks it.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

export type OptionalPackage = "@tensorflow/tfjs-node-gpu" | "hyparquet" | "koffi" | "onnxruntime-node";

const flexbertFolder = path.resolve(__dirname, "..", "..");

/** "npm install --prefix /home/me/app --ignore-scripts --no-save onnxruntime-node@1.30.0", for a flexbert in `folder`. */
export function npmCommand(name: OptionalPackage, folder = flexbertFolder): string {
  const { optionalDependencies } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  const wanted = `${name}@${optionalDependencies[name]}`;
  const within = path.dirname(folder);
  if (path.basename(within) !== "node_modules") return inFolder(folder, wanted); // a clone
  const host = path.dirname(within);
  // Only a project's node_modules has a package.json beside it. In npm's global folder packages find each other too.
  return existsSync(path.join(host, "package.json"))
    ? inFolder(host, wanted)
    : `npm install --global --ignore-scripts ${wanted}`;
}

/** Not saved: flexbert's own list names the package already, and a lock file keeps it. */
function inFolder(folder: string, wanted: string): string {
  const quoted = /^[\w./+:\\-]+$/.test(folder) ? folder : `"${folder}"`;
  return `npm install --prefix ${quoted} --ignore-scripts --no-save ${wanted}`;
}
