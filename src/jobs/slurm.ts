// Slurm: one sbatch script for each array, and submit.sh, which submits them all with what each waits for. Tried with 22.05.
//
// Preemption, a node's failure and `scontrol requeue`: Slurm sends SIGTERM to every process of the job, the trial saves its
// state and exits with 143, Slurm queues the same array task again, and that goes on from the state. A time limit is told
// 120 s before to the script alone (SIGUSR1), which asks the trial to stop and has itself queued again.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { failure, usageError } from "../errors/errors";
import { onOneLine } from "../errors/printable";
import { settingsFrom } from "../options/settings";
import { type JobSystemName, slurmSettings } from "../settings/jobs";
import type { JobState, JobStatus, JobSystem, JobWork, SubmittedArray } from "./job-system";
import { logFile } from "./logs";
import { runLine, usesGpu } from "./run-line";
import { optionWord, shellWord, tool } from "./shell";
import { type JobArray, waitsFor } from "./stages";

/** Seconds before a time limit at which a trial is told to save. */
const NOTICE = 120;

const settingsOf = ({ experiment }: Pick<JobWork, "experiment">) =>
  settingsFrom(slurmSettings, { ...experiment.jobs?.slurm });

export const slurm: JobSystem = {
  name: "slurm" satisfies JobSystemName,

  check(work) {
    const { jobs, file } = work.experiment;
    if ((jobs?.gpus ?? 0) > 0 && jobs?.device === "webgpu") {
      throw usageError(
        `${file}: jobs.device: webgpu does not heed CUDA_VISIBLE_DEVICES, by which Slurm gives each job a GPU of its own: two ` +
          "jobs would share one. Write device: cuda",
      );
    }
    const { time } = settingsOf(work);
    if (time !== undefined && time < 2000 * NOTICE) {
      throw usageError(`${file}: jobs.slurm.time: at least ${(2 * NOTICE) / 60}m, of which ${NOTICE} s are for saving`);
    }
  },

  async largestArray() {
    const config = await tool("scontrol", ["show", "config"], "Slurm");
    // The highest index is one less. 0 switches arrays off.
    const found = Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(config)?.[1] ?? DEFAULT_ARRAY);
    if (found > 1) return found;
    throw usageError("this Slurm has MaxArraySize 0, which switches job arrays off: ask its administrator for them");
  },

  write(work) {
    const scripts = work.arrays.map((array, i) => ({
      name: scriptName(i, array),
      content: scriptOf(work, array),
      executable: true,
    }));
    return [...scripts, { name: "submit.sh", content: submitScript(work), executable: true }];
  },

  async submit(work, before, onArray) {
    const done: SubmittedArray[] = [...before];
    for (const [i, array] of work.arrays.entries()) {
      const script = path.join(work.folder, scriptName(i, array));
      const waits = dependency(array, done, before, work.order);
      const printed = await tool("sbatch", ["--parsable", ...waits, script], "Slurm");
      const id = /^\d+/.exec(printed.trim())?.[0];
      if (id === undefined) {
        throw failure(
          `sbatch printed ${JSON.stringify(printed.trim())} in place of a job's number: is it Slurm's own?`,
        );
      }
      const { name, packs } = array;
      const submitted = { name, stage: array.stage.name, packs: array.stage.packs === null ? [""] : packs, id };
      done.push(submitted);
      await onArray(submitted);
    }
  },

  async look(submission, folder) {
    const queue = await queued();
    return submission.arrays.flatMap((array) =>
      array.packs.map((_, index): JobStatus => {
        const task = array.packs[0] === "" ? "" : `_${index}`;
        const found = queue.get(`${array.id}${task}`);
        if (found) return { array, index, code: null, ...found };
        const code = exitCode(folder, array.name, index);
        const state: JobState = code === null ? "gone" : code === 0 ? "done" : "failed";
        return { array, index, state, code, reason: null };
      }),
    );
  },

  async cancel(_, arrays) {
    const ids = arrays.map(({ id }) => id);
    if (ids.length > 0) await tool("scancel", ids, "Slurm");
  },

  whereLog: (_, folder, { name }, index) => logFile(folder, name, index),
};

/** Slurm's own default, for scripts that are written where there is none to ask. */
export const DEFAULT_ARRAY = 1001;

const scriptName = (i: number, { name }: JobArray) => `${String(i + 1).padStart(2, "0")}-${name}.sh`;

/** afterok for what needs all of it; earlier submissions' arrays may hold a trial that failed and is trained again here. */
function dependency(
  { stage }: JobArray,
  done: readonly SubmittedArray[],
  before: readonly SubmittedArray[],
  order: readonly string[],
): string[] {
  const waits = waitsFor(stage, done, order);
  if (waits.length === 0) return [];
  const kind = (one: SubmittedArray) => (stage.after === "ended" || before.includes(one) ? "afterany" : "afterok");
  const parts = [...new Set(waits.map(kind))].map(
    (how) =>
      `${how}:${waits
        .filter((one) => kind(one) === how)
        .map(({ id }) => id)
        .join(":")}`,
  );
  return [`--dependency=${parts.join(",")}`];
}

/** Of each task of the user's arrays that Slurm still has: "123_4", or "123" of a job without tasks. */
async function queued(): Promise<Map<string, Pick<JobStatus, "state" | "reason">>> {
  const printed = await tool("squeue", ["--me", "--array", "--noheader", "--format=%F|%K|%T|%r"], "Slurm");
  const found = new Map<string, Pick<JobStatus, "state" | "reason">>();
  for (const line of printed.split("\n")) {
    const [id, task, word = "", reason = ""] = line.trim().split("|");
    if (id === undefined || id === "") continue;
    const running = ["RUNNING", "COMPLETING", "CONFIGURING", "STOPPED", "SUSPENDED", "SIGNALING", "STAGE_OUT"];
    const state = running.includes(word) ? "running" : "pending";
    const shown = word === "PENDING" ? reason : `${word} ${reason}`.replace(/ None$/, "");
    found.set(task === "N/A" || task === undefined ? id : `${id}_${task}`, { state, reason: shown });
  }
  return found;
}

/** What a job wrote when it ended; null where it did not come so far. */
export function exitCode(folder: string, array: string, index: number): number | null {
  const file = path.join(folder, "exits", `${array}-${index}`);
  if (!existsSync(file)) return null;
  const code = Number(readFileSync(file, "utf8").trim());
  return Number.isInteger(code) ? code : null;
}

function scriptOf(work: JobWork, array: JobArray): string {
  const { experiment, cwd, folder, plan } = work;
  const { stage, packs, name } = array;
  const one = stage.packs === null;
  const what = one ? stage.name : `${stage.name}, ${packs.length} ${packs.length === 1 ? "job" : "jobs"}`;
  const at = path.resolve(cwd, folder);
  const { nodeCache } = work.settings;
  const line = runLine(work, array, nodeCache === undefined ? undefined : `"${nodeCache}"`);
  const { command, setup } = settingsOf(work);
  return `#!/bin/bash
# flexbert: ${what} of ${onOneLine(path.basename(experiment.file))} (plan ${plan}). Stands alone: sbatch this file; edit it, keep it.
${sbatchLines(work, array).join("\n")}
set -u
${setup === undefined ? "" : `${setup.trimEnd()}\n`}${one ? "task=0" : `task=$SLURM_ARRAY_TASK_ID\ntrials=(\n${packs.map((pack) => `  ${pack}`).join("\n")}\n)`}
exits=${shellWord(path.join(at, "exits", name))}-$task
mkdir -p "$(dirname "$exits")"
rm -f "$exits"
${usesGpu(work, array) ? `: "\${CUDA_VISIBLE_DEVICES:?Slurm gave this job no GPU of its own}"\n` : ""}# Where no cgroups do so: a script that is killed takes flexbert with it, so that the GPU is free when Slurm says so.
with=
command -v setpriv >/dev/null && with="setpriv --pdeathsig TERM"
time_is_up=
trap 'time_is_up=yes; kill -TERM "$child"' USR1
trap : TERM # Slurm sends it to flexbert too, which saves and exits with 143
$with ${command ?? ownCommand()} ${line}${one ? "" : ` --trial "\${trials[task]}"`} &
child=$!
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
if [ -n "$time_is_up" ] && [ "$code" = 143 ]; then
  scontrol requeue "$SLURM_JOB_ID" && exit 143
fi
echo "$code" > "$exits.part" && mv "$exits.part" "$exits"
exit "$code"
`;
}

function sbatchLines(work: JobWork, array: JobArray): string[] {
  const { cwd, folder, settings, experiment } = work;
  const own = settingsOf(work);
  const one = array.stage.packs === null;
  const limit = settings.parallel === undefined ? "" : `%${settings.parallel}`;
  const log = path.join(
    path.resolve(cwd, folder).replaceAll("%", "%%"),
    "logs",
    `${array.name}-${one ? "0" : "%a"}.log`,
  );
  const gpu = usesGpu(work, array) ? [own.gres === undefined ? "--gpus=1" : `--gres=${own.gres}`] : [];
  const partition = one ? (own.cpuPartition ?? own.partition) : own.partition;
  const minutes = own.time === undefined ? null : Math.ceil(own.time / 60_000);
  return [
    `--job-name=${optionWord(`${experiment.name}-${array.name}`)}`,
    ...(one ? [] : [`--array=0-${array.packs.length - 1}${limit}`]),
    `--chdir=${optionWord(cwd)}`,
    `--output=${optionWord(log)}`,
    "--open-mode=append",
    "--requeue",
    "--kill-on-invalid-dep=yes",
    "--nodes=1",
    "--ntasks=1",
    `--cpus-per-task=${settings.cpus}`,
    `--mem=${Math.ceil(settings.memory / 2 ** 20)}M`,
    ...gpu,
    ...(partition === undefined ? [] : [`--partition=${partition}`]),
    ...(own.account === undefined ? [] : [`--account=${own.account}`]),
    ...(own.qos === undefined ? [] : [`--qos=${own.qos}`]),
    ...(minutes === null ? [] : [`--time=${minutes}`, `--signal=B:USR1@${NOTICE}`]),
    ...(own.options ?? []),
  ].map((line) => `#SBATCH ${line}`);
}

/** The very flexbert and Node that submit, which nodes find on the shared disk. */
const ownCommand = () => [process.execPath, path.join(__dirname, "../../bin/flexbert.js")].map(shellWord).join(" ");

/** What `flexbert jobs submit` does, for whoever has the scripts alone. */
function submitScript(work: JobWork): string {
  const name = (array: JobArray) => array.name.replaceAll("-", "_");
  const lines = work.arrays.map((array, i) => {
    const earlier = work.arrays.slice(0, i).filter(({ stage }) => stage.name !== array.stage.name);
    const how = array.stage.after === "ended" ? "afterany" : "afterok";
    const waits = earlier.length === 0 ? "" : ` --dependency=${how}${earlier.map((one) => `:$${name(one)}`).join("")}`;
    return `${name(array)}=$(sbatch --parsable${waits} ${scriptName(i, array)})`;
  });
  return `#!/bin/bash
# Submits the scripts beside it: each stage waits for those before it.
set -eu
cd "$(dirname "$0")"
mkdir -p logs exits
${lines.join("\n")}
echo ${work.arrays.map((array) => `$${name(array)}`).join(" ")}
`;
}
