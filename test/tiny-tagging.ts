// A tiny task that labels words: "long book" is a book, a lone "film" a film, in words of the tiny bases.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Task } from "../src/tasks/task";
import { readUserTasks } from "../src/tasks/user-tasks";

function sentence(i: number): readonly (readonly [word: string, tag: string])[] {
  const filler = ["the", "a", "he", "saw", "was"];
  const word = (at: number) => [filler[(i * 3 + at) % filler.length] as string, "O"] as const;
  const book = [
    ["long", "B-book"],
    ["book", "I-book"],
  ] as const;
  const parts = [[word(0)], book, [word(1), word(2)], [["film", "B-film"]] as const, [word(3)]];
  return parts.filter((_, at) => (i >> at) % 2 === 0 || at === 2).flat();
}

const columns = (rows: number, from: number) =>
  Array.from({ length: rows }, (_, i) =>
    sentence(i + from)
      .map((cells) => cells.join("\t"))
      .join("\n"),
  ).join("\n\n");

export const TINY_TAGS = "[O, B-book, I-book, B-film]";

/** Writes things.yaml beside its data, CoNLL's columns. @returns the tasks file, and its one task */
export async function writeTinyTagging(
  folder: string,
  rows = 48,
): Promise<{ readonly file: string; readonly task: Task }> {
  mkdirSync(path.join(folder, "things"), { recursive: true });
  writeFileSync(path.join(folder, "things/train.conll"), `-DOCSTART-\tO\n\n${columns(rows, 0)}\n`);
  writeFileSync(path.join(folder, "things/dev.conll"), `${columns(24, 5)}\n\n\n`);
  const file = path.join(folder, "things.yaml");
  writeFileSync(
    file,
    "tasks:\n  - name: things\n    kind: tagging\n    files: { train: things/train.conll, dev: things/dev.conll }\n" +
      `    columns: { text: 0, label: 1 }\n    labels: ${TINY_TAGS}\n`,
  );
  const [task] = await readUserTasks(file);
  return { file, task: task as Task };
}
