// What a command that trains prints of one task: scores by k with the teacher, or the students of its teacher.

import type { TrainedSweep } from "../api/train/train";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import { formatScore, formatSeconds } from "../messages/quantities";
import { counted } from "../messages/words";
import { adapterOf } from "../model/adapters/adapters";
import { kOf } from "../model/place";
import type { SearchReport } from "../recipes/halving/rule";
import { methodOf } from "../recipes/methods/methods";
import type { Sweep } from "../recipes/sweep";
import { scoresByLayers } from "../selection/teacher";
import { formatRates } from "./run-tables";
import { type Terminal, table } from "./terminal";

/** The table of one task's k, with the teacher marked. */
export function printTeachers({ sweep, runs, standing, search }: TrainedSweep, terminal: Terminal): void {
  const { task, halving } = sweep;
  const { comparable, teacher } = standing ?? { comparable: runs, teacher: null };
  const rows = scoresByLayers(comparable).map(({ place, runs: seeds, max, mean }) => {
    const chosen = teacher !== null && seeds.includes(teacher);
    const seconds = seeds.reduce((sum, { record }) => sum + record.seconds, 0);
    const k = String(kOf(place));
    const rate = formatRates(seeds.map(({ record }) => record.tokensPerSecond));
    const mark = chosen ? "teacher" : "";
    return [k, formatScore(max), formatScore(mean), seeds.length, formatSeconds(seconds), rate, mark];
  });
  const adapter = adapterOf(comparable[0]?.record.options ?? {});
  terminal.print(`${task.name}: dev ${task.metric} by k${adapter ? ` of ${adapter.name}` : ""}, in points`);
  terminal.print(`${table(["k", "max", "mean", "runs", "time", "tokens/s", ""], rows)}\n`);
  // A sweep that halving never touched has the report in its JSON alone.
  const halved = halving !== undefined || runs.some(({ record }) => record.stopped);
  if (search && halved) terminal.print(`${describeSearch(task.name, search)}\n`);
}

/** What halving chose, stopped and saved; after a whole sweep, whether that sweep chooses the same. */
function describeSearch(task: string, { halving, full, stopped, saved, of }: SearchReport): string {
  const named = ({ layers, score }: { layers: number; score: number | null }) => `k=${layers} (${formatScore(score)})`;
  const time =
    saved.seconds > 0
      ? `about ${formatSeconds(saved.seconds)} of ${formatSeconds(of.seconds)}, ${Math.round((100 * saved.seconds) / of.seconds)} % of the time`
      : "but no time, as steps so few cost less than compiling them again";
  const work = `${saved.epochs} of ${of.epochs} epochs, ${saved.steps} of ${of.steps} steps, ${time}`;
  if (full && saved.epochs === 0) {
    return `${task}: every k ran to its end, and the choice is ${named(full)}; their scores tie, and halving stops none that ties`;
  }
  if (full) {
    const same = full.layers === halving.layers;
    return same
      ? `${task}: every k ran to its end, and the choice is ${named(full)}, as by halving, which saves ${work}`
      : `${task}: every k ran to its end, and the choice is ${named(full)}; halving chooses ${named(halving)} and saves ${work}`;
  }
  const stops = stopped.map((arm) => `${named(arm)} after epoch ${arm.epoch}`).join(", ");
  return (
    `${task}: halving chose ${named(halving)}. Stopped, with the best score so far: ${stops || "none"}\n` +
    `Saved: ${work}. None of those scores is above the choice's; whether the full search chooses the same,\n` +
    "--search full tells: it goes on where they stopped"
  );
}

/** The table of one task's students. */
export function printStudents({ sweep, runs }: TrainedSweep, terminal: Terminal): void {
  // Whole students of several methods may stand in one table.
  const wayOf = ({ record }: StoredRun) => methodOf(record.options)?.name;
  const ways = runs.some((run) => wayOf(run) !== undefined);
  const rows = runs.map(({ record, folder }) => [
    ...(ways ? [wayOf({ record, folder }) ?? ""] : []),
    record.layers,
    record.fork ?? "none",
    record.seed,
    formatScore(record.score),
    formatSeconds(record.seconds),
    formatRates([record.tokensPerSecond]),
  ]);
  terminal.print(headOfStudents(sweep));
  terminal.print(
    rows.length > 0
      ? `${table([...(ways ? ["method"] : []), "layers", "fork", "seed", "score", "time", "tokens/s"], rows)}\n`
      : keepsTeacher,
  );
}

/** The line above a task's students. */
export function headOfStudents({ task, teacher }: Sweep): string {
  const { layers, score } = (teacher as StoredRun).record;
  return `${task.name}: students of a teacher of ${counted(layers, "layer")} with ${formatScore(score)} points`;
}

/** What stands there in place of students. */
export const keepsTeacher = "  its teacher is no larger: it keeps its teacher";
