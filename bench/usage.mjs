// `--help` of the scripts here: prints the comment at the head of the script and ends. Each calls it when everything that
// it needs is loaded, so that `--help` also tells whether its imports still stand.
import { readFileSync } from "node:fs";

export function showUsage(moduleUrl) {
  if (!process.argv.includes("--help")) return;
  const lines = readFileSync(new URL(moduleUrl), "utf8").split("\n");
  const head = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith("//")),
  );
  console.log(head.map((line) => line.replace(/^\/\/ ?/, "")).join("\n"));
  process.exit(0);
}
