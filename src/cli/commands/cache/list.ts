// flexbert cache list: what lies in the cache, with sizes.

import { type CacheContents, listCache } from "../../../api/cache";
import { formatBytes } from "../../../files/atomic";
import { defineCommand } from "../../command";
import { type Terminal, table } from "../../terminal";

export const cacheListCommand = defineCommand({
  description:
    "Bases, builds that engine install made, and what stopped downloads left to go on from. The cache is FLEXBERT_CACHE, else the " +
    "platform's own. Reads every base for its hash, which takes seconds where they are large.",
  options: {},
  examples: ["cache list", "cache list --json"],
  async run(_, terminal) {
    const contents = await listCache();
    if (terminal.json) terminal.printJson(contents);
    else print(contents, terminal);
  },
});

function print(
  { folder, bytes, bases, builds, cudaBuilds, stoppedBuilds, leftovers }: CacheContents,
  terminal: Terminal,
): void {
  terminal.print(`cache ${folder}, ${formatBytes(bytes)}`);
  if (bases.length > 0) {
    const rows = bases.map((base) => [
      base.name,
      base.family ?? "",
      base.layers ?? "",
      base.sha256?.slice(0, 8) ?? "",
      formatBytes(base.bytes),
      base.problem ?? base.source ?? "",
    ]);
    terminal.print(`\n${table(["base", "family", "layers", "sha256", "size", "from"], rows)}`);
  } else {
    terminal.print("no bases. Bring one: flexbert pull NAME");
  }
  const kinds = { TensorFlow: builds, "onnxruntime's CUDA provider": cudaBuilds };
  for (const [what, found] of Object.entries(kinds)) {
    if (found.length === 0) continue;
    const rows = found.map(({ name, bytes: size, problem }) => [name, formatBytes(size), problem ?? ""]);
    terminal.print(`\n${table([`build of ${what}`, "size", ""], rows)}`);
  }
  const left = [
    ...leftovers.map(({ kind, name, bytes: size, inUse }) => [
      `${kind} of ${name}`,
      formatBytes(size),
      inUse ? "in use" : "",
    ]),
    ...stoppedBuilds.map((name) => [`install or removal of ${name}`, "", ""]),
  ];
  if (left.length > 0) terminal.print(`\n${table(["left by stopped work", "size", ""], left)}`);
}
