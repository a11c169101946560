// What the tests' reports (Jest's --json) say together: the tests that were skipped, by file and reason (test/skips.ts
// puts it into their names), and as the last line the count of both outcomes. What ends without a report, a suite that does not compile, and an exit code that no failed test explains
// count as a failure each.
//
//   node .ci/count.mjs REPORT EXIT_CODE [REPORT EXIT_CODE ...]
import { readFileSync } from "node:fs";
import path from "node:path";

let [passed, failed] = [0, 0];
const skipped = new Map();
for (let i = 2; i < process.argv.length; i += 2) {
  const [file, exitCode] = process.argv.slice(i, i + 2);
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    console.log(`no report ${path.basename(file)}: its tests did not run to their end`);
    failed++;
    continue;
  }
  const failures = report.numFailedTests + report.numRuntimeErrorTestSuites;
  passed += report.numPassedTests;
  failed += exitCode === "0" ? failures : Math.max(1, failures);
  for (const { name, assertionResults } of report.testResults) {
    for (const { status, fullName } of assertionResults) {
      if (status === "passed" || status === "failed") continue;
      const what = `${path.relative("", name)}: ${/\(skipped: (.*?)\)( |$)/.exec(fullName)?.[1] ?? fullName}`;
      skipped.set(what, (skipped.get(what) ?? 0) + 1);
    }
  }
}
if (skipped.size > 0) console.log("skipped:");
for (const [what, count] of skipped) console.log(`  ${String(count).padStart(3)} in ${what}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
