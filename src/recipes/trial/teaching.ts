// What the students of one teacher learn from, beside labels: its outputs on the train rows, computed once for all of them
// like the trunk's activations.

import { loadBranch, type StoredRun } from "../../checkpoints/runs/run-folder";
import { usageError } from "../../errors/errors";
import type { HostTensors } from "../../model/tensors";
import { headOf, outputSize } from "../../tasks/task";
import { type BatchInput, perPosition, perStep, perStoredRow, perToken } from "../../training/loop/batch-inputs";
import type { Matched } from "../losses";
import type { Preparation } from "../recipe";
import { disposeOutputs, type TeacherOutputs, teacherOutputs } from "./teacher";

/** What a student's steps read of its teachers. */
export interface Lesson {
  /** Several seeds of the teacher; absent: the teacher alone. */
  readonly taughtBy: readonly StoredRun[] | undefined;
  /** The state that it is drawn to. */
  readonly state: Matched | null;
  /** Weight of the teacher's outputs at the first step, and at the last where it changes. */
  readonly alpha: number;
  readonly alphaEnd: number | undefined;
}

export interface OpenTeaching {
  /** The teacher's tensors, checked against the hash in its record. */
  branch(): Promise<HostTensors>;
  /** The inputs of a student's steps. Computes what they hold unless the student before read the same. */
  inputs(lesson: Lesson): Promise<Readonly<Record<string, BatchInput>>>;
  close(): Promise<void>;
}

export function openTeaching(preparation: Preparation): OpenTeaching {
  const { task, base } = preparation;
  const teacher = preparation.teacher as StoredRun;
  const width = base.config.hiddenSize;
  let branch: Promise<HostTensors> | null = null;
  let last: { readonly key: string; readonly outputs: TeacherOutputs } | null = null;

  const outputsFor = async ({ taughtBy = [teacher], state }: Lesson): Promise<TeacherOutputs> => {
    const key = [state, ...taughtBy.map(({ record }) => record.sha256)].join(" ");
    if (last?.key === key) return last.outputs;
    await forget();
    const { train } = await preparation.under(teacher.record);
    const asked = { teachers: taughtBy, source: train, state, label: `${task.name} train` };
    const outputs = await teacherOutputs(asked, preparation);
    last = { key, outputs };
    return outputs;
  };
  const forget = async () => {
    if (last) await disposeOutputs(last.outputs);
    last = null;
  };

  return {
    branch() {
      branch ??= loadBranch(teacher);
      return branch;
    },
    async inputs(lesson) {
      const { state, alpha, alphaEnd } = lesson;
      if (state === "pooled") requirePooler(preparation);
      const outputs = await outputsFor(lesson);
      return {
        teacher_logits: perStoredRow(outputs.logits, outputSize(task)),
        ...(outputs.state
          ? { teacher_state: (state === "tokens" ? perToken : perPosition)(outputs.state, width) }
          : {}),
        ...(alphaEnd === undefined ? {} : { alpha: perStep(inALine(alpha, alphaEnd)) }),
      };
    },
    close: forget,
  };
}

/** From `start` at the first step to `end` at the last. */
const inALine = (start: number, end: number) => (step: number, total: number) =>
  start + ((end - start) * (step - 1)) / Math.max(1, total - 1);

function requirePooler({ task, base }: Preparation): void {
  const pooled = headOf(task, base.config.hiddenSize).some(({ name }) => name === "bert.pooler.dense.weight");
  if (pooled) return;
  throw usageError(`--match pooled: the head of ${task.name} (${task.kind.name}) has no pooler. Match cls or tokens`);
}
