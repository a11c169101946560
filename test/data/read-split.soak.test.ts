// Files of any content, at length: rows come back as they were written, and what is no file of the task is said so in a line.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { readSplit } from "../../src/data/read-split";
import { ExitCode } from "../../src/errors/errors";
import { glueTasks } from "../../src/tasks/glue";
import type { SplitSource, Task } from "../../src/tasks/task";
import { temporaryFolder } from "../files/temporary-folder";
import { soak } from "../soak";

const glueData = temporaryFolder();

function write(task: Task, content: string | Uint8Array): void {
  const file = path.join(glueData, task.folder, task.splits.train?.file as string);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
}

test("any texts of RTE and SST-2 come back as they were written", () => {
  const text = fc
    .string({ unit: "binary", maxLength: 40 })
    .filter((one) => !/[\t\n\r\ufeff]/.test(one) && one.trim() !== "");
  const rows = fc.array(fc.tuple(text, text, fc.boolean()), { minLength: 1, maxLength: 8 });
  return soak(
    fc.asyncProperty(rows, async (written) => {
      const labels = ["entailment", "not_entailment"];
      write(
        glueTasks.rte,
        `index\tsentence1\tsentence2\tlabel\n${written.map(([a, b, label], i) => `${i}\t${a}\t${b}\t${labels[Number(label)]}\n`).join("")}`,
      );
      write(glueTasks.sst2, `sentence\tlabel\n${written.map(([a, , label]) => `${a}\t${Number(label)}\n`).join("")}`);
      const pairs = await readSplit(glueTasks.rte, "train", { glueData });
      const singles = await readSplit(glueTasks.sst2, "train", { glueData });
      expect(pairs.examples.map(({ text, pair, label }) => [text, pair, label === 1])).toEqual(written);
      expect(singles.examples.map(({ text, label }) => [text, label === 1])).toEqual(written.map(([a, , c]) => [a, c]));
    }),
    1_000,
  );
});

test("a file of any content is read, or refused in one line (3)", () => {
  const tasks: readonly Task[] = Object.values(glueTasks).filter((task) => "train" in task.splits);
  const cell = fc.oneof(fc.constantFrom("sentence", "label", "index", "1", "0", '"', "entailment", ""), fc.string());
  const table = fc.array(
    fc.array(cell, { maxLength: 6 }).map((cells) => cells.join("\t")),
    { maxLength: 6 },
  );
  const headed = fc.tuple(fc.constantFrom(...tasks), table).map(([task, lines]) => {
    const { text, pair, label, index } = (task.splits.train as SplitSource).columns;
    const header = [index, text, pair, label].filter((column) => column !== undefined).join("\t");
    return [task, [header, ...lines].join("\n")] as const;
  });
  const bare = fc.tuple(
    fc.constantFrom(...tasks),
    fc.oneof(
      table.map((lines) => lines.join("\n")),
      fc.uint8Array({ maxLength: 200 }),
    ),
  );
  return soak(
    fc.asyncProperty(fc.oneof(headed, bare), fc.boolean(), async ([task, content], skipBroken) => {
      write(task, content);
      const outcome = await readSplit(task, "train", { glueData, skipBroken }).catch((error: Error) => error);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ name: "UserError", exitCode: ExitCode.data });
        expect(outcome.message).toMatch(/^[^\n]+$/);
      } else {
        expect(outcome.examples.length).toBeGreaterThan(0);
        if (!skipBroken) expect(outcome.broken).toEqual([]);
      }
    }),
    2_000,
  );
});
