// flexbert select: one candidate a task, by the threshold c, for all tasks together by price, share or budget, or by name.

import { isMeasurementAlone, selectOptions } from "../../api/select/options";
import { choose, describeChosen, measureLatency } from "../../api/select/select";
import { settingsOf } from "../../options/settings";
import { configOption } from "../../settings/call";
import { defineCommand } from "../command";
import { printChosen, printLatency } from "../select-output";

export const selectCommand = defineCommand({
  description:
    "A task's candidates are its students and its teacher, or the rows of --scores.\n\n" +
    "--threshold: from the smallest on, a larger candidate is taken when it gains " +
    "at least c points for each layer that it adds. Without a rule, c is 1.\n" +
    "--price, --keep, --max-layers, --max-latency, --max-bytes: for all tasks " +
    "together, exactly, among every k and every student on any fork. Shared layers " +
    "count as deep as the choice's deepest fork. --price takes the most points less " +
    "c for each layer; --keep the fewest layers that keep a share of the teachers' " +
    "average; limits alone the most points. Limits go with each other and with both.\n" +
    "--select: by name, as in merge.\n" +
    "--cross: what the choice scores on rows that it was not made on.\n\n" +
    "Ties go to fewer layers, then to the order of tasks and candidates. With\n" +
    "--scores, --json prints scores in the file's own unit, else in fractions.",
  options: { ...selectOptions, ...configOption },
  examples: [
    "select --threshold 1 --out mixed.json",
    "select --keep 99.6 --out small.json",
    "select --price 0.5 --within-noise --cross",
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
