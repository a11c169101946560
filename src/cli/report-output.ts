// What report prints: methods with their scores and layers, and where the page lies.

import path from "node:path";
import type { MadeReport } from "../api/report";
import { formatScore } from "../messages/quantities";
import { type Terminal, table } from "./terminal";

export async function printReport({ report, out }: MadeReport, terminal: Terminal): Promise<void> {
  const { MARKDOWN, PAGE } = await import("../report/report.js");
  for (const warning of report.document.warnings) terminal.reporter.warn(warning);
  terminal.print(
    table(
      ["method", "average", "layers", "overhead"],
      report.methods.map(({ name, average, cost }) => [
        name,
        formatScore(average?.score ?? null),
        cost?.layers ?? "-",
        cost ? `${(100 * cost.share).toFixed(0)} %` : "-",
      ]),
    ),
  );
  terminal.print(`\n${path.join(out, PAGE)} and ${MARKDOWN}: ${report.document.summary}`);
}
