// flexbert status: what is trained, and what is next.

import { describeStatus, readStatuses, statusOptions } from "../../api/status";
import type { RunRecord } from "../../checkpoints/runs/run-folder";
import { formatScore } from "../../messages/quantities";
import { adapterOf } from "../../model/adapters/adapters";
import type { Place } from "../../model/place";
import { settingsOf } from "../../options/settings";
import { methodOf } from "../../recipes/methods/methods";
import { defineCommand } from "../command";
import { table } from "../terminal";

/** "l=2", and its fork where that is not its teacher's: "l=2 f=3"; of a whole student its method: "pkd l=2". */
function studentLabel({ layers, fork, options }: RunRecord, teacher: Place | null): string {
  const method = methodOf(options);
  if (method) return `${method.name} l=${layers}`;
  return teacher?.fork === fork ? `l=${layers}` : `l=${layers} f=${fork}`;
}

export const statusCommand = defineCommand({
  options: statusOptions,
  examples: ["status", "status --checkpoints checkpoints --json"],
  async run(values, terminal) {
    const statuses = await readStatuses(settingsOf(statusOptions, values), terminal);
    if (terminal.json) {
      terminal.printJson(statuses.map(describeStatus));
      return;
    }
    if (statuses.length === 0) {
      terminal.print(`nothing in ${values.checkpoints} yet. Run: flexbert finetune --task NAME`);
      return;
    }
    const hasAdapters = statuses.some(({ adapted }) => adapted.length > 0);
    const rows = statuses.map(({ base, task, teachers, students, adapted, teacher, next }) => {
      const done = teachers.filter(({ record }) => record.state === "finished").length;
      const chosen = teacher
        ? `k=${teacher.record.layers} seed ${teacher.record.seed}, ${formatScore(teacher.record.score)}`
        : "-";
      const scored = ({ state, score }: RunRecord) => (state === "finished" ? formatScore(score) : "unfinished");
      const best = students.map(({ record }) => `${studentLabel(record, teacher?.record ?? null)} ${scored(record)}`);
      const small = adapted.map(
        ({ record }) => `${adapterOf(record.options)?.name} k=${record.layers} ${scored(record)}`,
      );
      const stopped = teachers.filter(({ record }) => record.state === "stopped").length;
      const runs = `${done} of ${teachers.length}${stopped > 0 ? `, ${stopped} stopped early` : ""}`;
      const others = hasAdapters ? [small.join(", ") || "-"] : [];
      return [base, task, runs, chosen, best.join(", ") || "-", ...others, next];
    });
    const columns = ["base", "task", "runs", "teacher", "students", ...(hasAdapters ? ["adapters"] : []), "next"];
    terminal.print(table(columns, rows));
  },
});
