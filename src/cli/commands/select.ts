// flexbert select: one candidate a task, by the threshold c, by a budget of layers or milliseconds, or by name.

import { choose, describeChosen, isMeasurementAlone, measureLatency, selectOptions } from "../../api/select/select";
import { settingsOf } from "../../options/settings";
import { configOption } from "../../settings/call";
import { defineCommand } from "../command";
import { printChosen, printLatency } from "../select-output";

export const selectCommand = defineCommand({
  description:
    "A task's candidates are its students and its teacher, or the rows of --scores.\n\n" +
    "--threshold: from the smallest on, a larger candidate is taken when it gains " +
    "at least c points for each layer that it adds. Without a rule, c is 1.\n" +
    "--max-layers, --max-latency or both: the best total score within the budget, " +
    "exactly. Shared layers count as deep as the choice's deepest fork.\n" +
    "--select: by name, as in merge.\n\n" +
    "Ties go to fewer layers, then to the order of tasks and candidates. With\n" +
    "--scores, --json prints scores in the file's own unit, else in fractions.",
  options: { ...selectOptions, ...configOption },
  examples: [
    "select --threshold 1 --out mixed.json",
    "select --max-layers 24 --json",
    "select --measure --batch-size 1 --length 64 --latency cpu.json",
    "select --max-latency 40 --latency cpu.json",
    "select --scores table.csv --threshold 2",
  ],
  async run(values, terminal) {
    const options = settingsOf(selectOptions, values);
    if (options.measure && isMeasurementAlone(options)) {
      printLatency(await measureLatency(options, terminal), terminal);
      return;
    }
    const chosen = await choose(options, terminal);
    if (terminal.json) terminal.printJson(describeChosen(chosen));
    else printChosen(chosen, terminal);
    if (options.out !== undefined) terminal.reporter.log(`${options.out}: written; merge takes it with --select`);
  },
});
