// flexbert report: one HTML page and a Markdown file about the stored runs.

import { describeReport, makeReport, reportOptions } from "../../api/report";
import { settingsOf } from "../../options/settings";
import { configOption } from "../../settings/call";
import { defineCommand } from "../command";
import { printReport } from "../report-output";

export const reportCommand = defineCommand({
  description:
    "Writes scores by task and k, methods with their layers, students by start, score against layers, learning curves, time " +
    "and savings, from the run folders alone. The page needs no network; its charts and data lie beside it as SVG and CSV.",
  options: { ...reportOptions, ...configOption },
  examples: [
    "report",
    "report --out report/ --merged merged/ --latency latency.json",
    "report --selection mixed.json",
    "report --task rte,mrpc --base sentence-transformers/all-MiniLM-L6-v2 --thresholds 0.5,1,2",
  ],
  async run(values, terminal) {
    const made = await makeReport(settingsOf(reportOptions, values), terminal);
    if (terminal.json) terminal.printJson(await describeReport(made));
    else await printReport(made, terminal);
  },
});
