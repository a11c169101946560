// flexbert import: a branch that somebody else fine-tuned, as a run of ours.

import { importBranch, importOptions } from "../../api/import";
import { formatScore } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { configOption } from "../../settings/call";
import { defineCommand } from "../command";

const { import: folder, labels, ...others } = importOptions;

export const importCommand = defineCommand({
  description:
    "Takes a Hugging Face folder whose embeddings and lower layers equal the base's, stores the layers above as a run, " +
    "and scores it on the task's dev rows.",
  arguments: [{ name: "[folder]", help: "a folder with config.json and weights" }],
  options: { ...others, ...configOption, import: folder, labels },
  examples: [
    "import ./my-rte-bert --task rte",
    "import ./their-mnli --task mnli --labels contradiction,entailment,neutral --base bert-base-uncased",
  ],
  async run(values, terminal, [given = values.import]) {
    const options = { ...settingsOf(importOptions, values), import: given };
    const run = await importBranch(options, terminal);
    if (terminal.json) terminal.printJson(run);
    else {
      const { task, layers, fork, score } = run;
      terminal.print(
        `${task}: ${layers} layers above fork ${fork}, ${formatScore(score)} points on dev, in ${run.folder}`,
      );
    }
  },
});
