// The container's command of every index of every Job in a file, run here. A folder with a program `flexbert` that runs the
// last words goes before PATH; /etc/flexbert becomes a folder with the ConfigMap.
//
//   node bench/cluster/kubernetes-commands.mjs FILE.yaml PROJECT flexbert...
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseAllDocuments } from "yaml";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const [, , file, project, ...words] = process.argv;
const objects = parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS());
const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-pod-"));
const config = path.join(folder, "etc");
mkdirSync(config);
const { data } = objects.find(({ kind }) => kind === "ConfigMap");
for (const [name, content] of Object.entries(data)) writeFileSync(path.join(config, name), content);
writeFileSync(path.join(folder, "flexbert"), `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(" ")} "$@"\n`, {
  mode: 0o755,
});
let worst = 0;
for (const { kind, metadata, spec } of objects) {
  if (kind !== "Job" || spec.completionMode !== "Indexed") continue;
  const [{ command, env }] = spec.template.spec.containers;
  for (let index = 0; index < spec.completions; index++) {
    const own = Object.fromEntries(
      env.filter(({ name }) => name !== "FLEXBERT_CACHE").map(({ name, value }) => [name, value]),
    );
    const [program, ...args] = command.map((word) => word.replaceAll("/etc/flexbert", config));
    const { status, stderr } = spawnSync(program, args, {
      cwd: project,
      env: { ...process.env, ...own, JOB_COMPLETION_INDEX: String(index), PATH: `${folder}:${process.env.PATH}` },
      encoding: "utf8",
    });
    process.stdout.write(`${metadata.name} ${index}: ${status}\n`);
    if (status !== 0) process.stderr.write(stderr);
    worst = Math.max(worst, status ?? 1);
  }
}
rmSync(folder, { recursive: true });
process.exitCode = worst;
