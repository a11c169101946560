// A Slurm of its own for a test file, where Debian's packages are installed: bench/cluster/slurm.sh in a folder that goes again.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "@jest/globals";

const script = path.join(__dirname, "../../bench/cluster/slurm.sh");

const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

/** Why none can be had here; null where one can. */
export function missingSlurm(): string | null {
  const missing = ["slurmctld", "slurmd", "sbatch", "munged"].filter((program) => !has(program));
  if (missing.length > 0) return `${missing.join(", ")} not there: apt install slurm-wlm munge`;
  return process.getuid?.() === 0 ? null : "slurmd needs root";
}

/** Up before the tests of a file and down after them, whether they passed, failed or were ended from outside. */
export function slurmOfItsOwn() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-slurm-"));
  const env = { SLURM_CONF: path.join(folder, "slurm.conf") };
  const act = (action: string, ...more: string[]) =>
    execFileSync(script, [action, folder, ...more], { stdio: ["ignore", "ignore", "inherit"] });
  beforeAll(() => void act("up", String(process.pid)));
  afterAll(() => {
    act("down");
    rmSync(folder, { recursive: true, force: true });
  });
  const ask = (program: string, ...args: string[]) =>
    execFileSync(program, args, { env: { ...process.env, ...env }, encoding: "utf8" });
  return { env, ask, restart: () => act("restart") };
}
