// What the students of one teacher learn from, beside labels: its outputs on the train rows, computed once for all of them
// like the trunk's activations.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { asDecided } from "../../checkpoints/runs/tuned";
import { usageError } from "../../errors/errors";
import { familyOf } from "../../model/families/families";
import type { HostTensors } from "../../model/tensors";
import { headOf, outputSize } from "../../tasks/task";
import {
  type BatchInput,
  everyRow,
  perPosition,
  perStep,
  perStoredRow,
  perToken,
} from "../../training/loop/batch-inputs";
import type { BranchSource } from "../../training/loop/branch-source";
import type { Matched } from "../losses";
import type { Preparation, TrialWork } from "../recipe";
import type { PlacedTeacher } from "./initial-branch";
import { disposeOutputs, type TeacherOutputs, teacherBranch, teacherOutputs } from "./teacher";
import { type TransferTexts, transferRows } from "./transfer";
import { poolOf, requireKind, type TransferPool } from "./transfer-pool";

/** What a student's steps read of its teachers. */
export interface Lesson {
  /** Several seeds of the teacher; absent: the teacher alone. */
  readonly taughtBy: readonly StoredRun[] | undefined;
  /** The state that it is drawn to. */
  readonly state: Matched | null;
  /** Weight of the teacher's outputs at the first step, and at the last where it changes. */
  readonly alpha: number;
  readonly alphaEnd: number | undefined;
  /** Whether batches have rows with labels and rows without. */
  readonly someUnlabelled: boolean;
}

/** Which of the texts without labels that a teacher labels its students learn from, and how. */
export interface TransferRules {
  readonly texts: TransferTexts;
  /** Least confidence of what a teacher says of a row. */
  readonly confidence: number;
  /** As many rows of each class that a teacher gives. */
  readonly balance: boolean;
  readonly batchSize: number;
}

export interface OpenTeaching {
  /** The teacher's tensors, checked against the hash in its record, and where its layers stand. */
  teacher(): Promise<PlacedTeacher>;
  /** The inputs of a student's steps. Computes what they hold unless the student before read the same. */
  inputs(lesson: Lesson): Promise<Readonly<Record<string, BatchInput>>>;
  /** As `inputs`, of texts without labels: which of them batches have, and what those carry. */
  extra(lesson: Lesson, rules: TransferRules): Promise<NonNullable<TrialWork["extra"]>>;
  close(): Promise<void>;
}

export function openTeaching(preparation: Preparation): OpenTeaching {
  const { task, base } = preparation;
  const teacher = preparation.teacher as StoredRun;
  let branch: Promise<HostTensors> | null = null;
  const train = keepLast(preparation);
  const transfer = keepLast(preparation);

  const outputInputs = ({ state: kept, logits }: TeacherOutputs, state: Matched | null) => ({
    teacher_logits: (task.kind.perWord ? perToken : perStoredRow)(logits, outputSize(task)),
    ...(kept ? { teacher_state: (state === "tokens" ? perToken : perPosition)(kept, base.config.hiddenSize) } : {}),
  });

  return {
    async teacher() {
      branch ??= teacherBranch(preparation);
      return { branch: await branch, place: teacher.record };
    },
    async inputs(lesson) {
      const { state, alpha, alphaEnd, someUnlabelled } = lesson;
      if (state === "pooled") requirePooler(preparation);
      const source = async () => (await preparation.under(teacher.record)).train;
      return {
        ...outputInputs(await train.outputs(lesson, "train", source), state),
        ...(alphaEnd === undefined ? {} : { alpha: perStep(inALine(alpha, alphaEnd)) }),
        ...(someUnlabelled ? { label_weights: everyRow(1) } : {}),
      };
    },
    async extra(lesson, { texts, confidence, balance, batchSize }) {
      requireKind(task, { confidence, balance });
      const source = () => preparation.transferred(texts, teacher.record);
      const outputs = await transfer.outputs(lesson, `transfer ${texts.sha256} ${texts.rows}`, source);
      // Sure of what it says with its own thresholds, where those are tuned.
      const pool = await poolOf(outputs.logits, asDecided(task, teacher), { rows: texts.rows, confidence, balance });
      tellPool(pool, texts, preparation);
      const unlabelled = lesson.someUnlabelled ? { label_weights: everyRow(0) } : {};
      const perBatch = transferRows(texts.share, batchSize);
      return { pool: pool.groups, perBatch, inputs: { ...outputInputs(outputs, lesson.state), ...unlabelled } };
    },
    async close() {
      await train.forget();
      await transfer.forget();
    },
  };
}

/** Teachers' outputs on some rows, computed again where other teachers, states or rows are asked for than before. */
function keepLast(preparation: Preparation) {
  const { task } = preparation;
  let last: { readonly key: string; readonly outputs: TeacherOutputs } | null = null;
  const forget = async () => {
    if (last) await disposeOutputs(last.outputs);
    last = null;
  };
  return {
    forget,
    async outputs(
      { taughtBy = [preparation.teacher as StoredRun], state }: Lesson,
      rows: string,
      source: () => Promise<BranchSource>,
    ): Promise<TeacherOutputs> {
      const key = [rows, state, ...taughtBy.map(({ record }) => record.sha256)].join(" ");
      if (last?.key === key) return last.outputs;
      await forget();
      const asked = { teachers: taughtBy, source: await source(), state, label: `${task.name} ${rows.split(" ")[0]}` };
      last = { key, outputs: await teacherOutputs(asked, preparation) };
      return last.outputs;
    },
  };
}

function tellPool(
  { groups, left }: TransferPool,
  { rows, share }: TransferTexts,
  { task, reporter }: Preparation,
): void {
  const sizes = groups.map(({ length }) => length);
  const kept = sizes.reduce((sum, size) => sum + size, 0);
  const classes = sizes.length > 1 ? `, of ${sizes.length} classes in turn (${sizes.join(", ")} rows)` : "";
  const unsure = left > 0 ? ` (${left} of less confidence left out)` : "";
  reporter.log(
    `${task.name}: ${kept} of ${rows} rows without labels${unsure}${classes}, ${100 * share} % of each batch`,
  );
}

/** From `start` at the first step to `end` at the last. */
const inALine = (start: number, end: number) => (step: number, total: number) =>
  start + ((end - start) * (step - 1)) / Math.max(1, total - 1);

function requirePooler({ task, base }: Preparation): void {
  const { head } = familyOf(base.config);
  const own = headOf(task, base.config).map(({ name }) => name);
  const pooler = head.parameters(base.config, 1).filter(({ name }) => !name.startsWith(`${head.output}.`));
  if (pooler.every(({ name }) => own.includes(name))) return;
  const next = task.kind.perWord ? "Give --match tokens: it labels words, by their tokens" : "Match cls or tokens";
  throw usageError(`--match pooled: the head of ${task.name} (${task.kind.name}) has no pooler. ${next}`);
}
