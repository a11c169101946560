// The second of the probe's two processes: node second.js FOLDER.

import { runRole } from "./roles";

const [, , meeting = ""] = process.argv;
runRole(meeting, "second", AbortSignal.timeout(120_000)).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
