// The teacher of a task's students: whether a run can be one, and what it says of rows. Of several seeds of the same
// teacher the mean of their outputs teaches.

import type { BaseDescription } from "../../checkpoints/bases/base";
import { loadBranch, type StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError } from "../../errors/errors";
import { branchAxes, branchOutputs } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import type { Head } from "../../model/heads";
import { withShared } from "../../model/parameters";
import type { Place } from "../../model/place";
import { ownLayers } from "../../model/place";
import type { HostTensors } from "../../model/tensors";
import { outputSize, type Task } from "../../tasks/task";
import { type BranchSource, eachOutput } from "../../training/loop/branch-source";
import type { ActivationStore } from "../../training/trunk/activation-store";
import { type Matched, matchedState } from "../losses";
import type { Preparation } from "../recipe";

/** Throws modelError (4) for a run of another base or with other labels. */
export function checkTeacher({ record, folder }: StoredRun, task: Task, base: BaseDescription): void {
  if (record.base.sha256 !== base.sha256) {
    throw modelError(
      `the teacher ${folder} was trained on ${record.base.name} (sha256 ${record.base.sha256.slice(0, 8)}), ` +
        `the base is ${base.name} (${base.sha256.slice(0, 8)}). Give --base ${record.base.name}`,
    );
  }
  if (record.labels.join("\n") !== task.labels.join("\n")) {
    throw modelError(
      `the teacher ${folder} has labels ${record.labels.join(", ")}; ${task.name} has ${task.labels.join(", ")}`,
    );
  }
}

/** The teacher's tensors, checked against the hash in its record. */
export const teacherBranch = ({ teacher, task, base }: Preparation): Promise<HostTensors> =>
  loadBranch(teacher as StoredRun, task, base.config);

/** What teachers say of rows, without dropout. */
export interface TeacherOutputs {
  /** [rows, outputs], as one position a row; of a head that reads each token alone, of every token. */
  readonly logits: ActivationStore;
  /** [rows, positions, hidden] of the last layer, where students are drawn to it: one position a row, or every token. */
  readonly state: ActivationStore | null;
}

/** Which rows of which teachers. */
export interface AskedOutputs {
  /** One, or several seeds of it: the same place. */
  readonly teachers: readonly StoredRun[];
  /** The rows as a branch at the teachers' place reads them. */
  readonly source: BranchSource;
  readonly state: Matched | null;
  /** What the log calls the rows: "rte train". */
  readonly label: string;
}

type Asking = Pick<Preparation, "task" | "base" | "engine" | "reporter" | "signal" | "store">;

/**
 * The mean of the teachers' outputs. Of logits it is the geometric mean of what they predict, renormalised (Hinton et al. 2015
 * name it for ensembles); of states, the target whose squared error has the gradient of their mean error.
 */
export async function teacherOutputs(asked: AskedOutputs, asking: Asking): Promise<TeacherOutputs> {
  const { teachers, source, state, label } = asked;
  const { lengths } = source.rows;
  const one = new Int32Array(lengths.length).fill(1);
  const { perToken } = await asking.task.kind.head(source.config);
  const logits = await asking.store(
    perToken ? lengths : one,
    outputSize(asking.task),
    `the teacher's outputs on ${label}`,
  );
  const width = source.config.hiddenSize;
  const positions = state === "tokens" ? lengths : one;
  const states = state
    ? await asking.store(positions, width, `the teacher's states (--match ${state}) of ${label}`)
    : null;
  try {
    for (const [i, teacher] of teachers.entries())
      await addOutputs(teacher, i, asked, { logits, state: states }, asking);
  } catch (error) {
    await disposeOutputs({ logits, state: states });
    throw error;
  }
  return { logits, state: states };
}

export async function disposeOutputs({ logits, state }: TeacherOutputs): Promise<void> {
  await logits.dispose();
  await state?.dispose();
}

/** Adds a teacher's share of the mean to what `i` teachers before it have left in the stores. */
async function addOutputs(
  teacher: StoredRun,
  i: number,
  { teachers, source, state, label }: AskedOutputs,
  into: TeacherOutputs,
  { task, base, engine, reporter, signal }: Asking,
): Promise<void> {
  const head = await task.kind.head(source.config);
  const entry = outputsEntry(teacher.record, source.config, head, state);
  const program = await engine.load(
    withShared(base.tensors, await loadBranch(teacher, task, source.config)),
    { outputs: entry },
    { outputs: branchAxes },
  );
  const of = teachers.length > 1 ? ` (${i + 1} of ${teachers.length})` : "";
  const rows = source.rows.lengths.length;
  reporter.log(`${task.name}: computing the teacher's outputs${of} on ${rows} rows of ${label}`);
  const bar = reporter.progress(`${label}: the teacher's outputs${of}`, rows);
  try {
    await eachOutput(program, "outputs", source, signal, async (batch, outputs) => {
      for (const name of ["logits", "state"] as const) {
        const store = into[name];
        if (!store) continue;
        const values = (outputs[name] as { data: Float32Array }).data;
        const ofTokens = name === "state" ? state === "tokens" : head.perToken;
        const at = ofTokens ? batch : { ...batch, length: 1 };
        await store.write(
          at,
          i === 0 && teachers.length === 1 ? values : await added(store, at, values, i, teachers.length),
        );
      }
      bar.advance(batch.rows.length);
    });
  } finally {
    bar.end();
    program.dispose();
  }
}

/** The stored values of a batch with a part of `values` added. */
async function added(
  store: ActivationStore,
  batch: Parameters<ActivationStore["read"]>[0],
  values: Float32Array,
  before: number,
  count: number,
): Promise<Float32Array> {
  if (before === 0) return values.map((value) => value / count);
  const sum = await store.read(batch, batch.rows.length);
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i] as number) / count;
  return sum;
}

/** Logits and, where it is read, the state of the last layer: [batch, positions, hidden]. */
function outputsEntry(place: Place, config: EncoderConfig, head: Head, state: Matched | null): EntryPoint {
  const [, top] = ownLayers(place);
  const matched = state && matchedState(state, top);
  return (tensors, inputs) => {
    const outputs = branchOutputs(tensors, inputs as never, place, config, matched?.reads ?? {}, undefined, head);
    const { logits } = outputs;
    return { outputs: matched ? { logits, state: matched.student(outputs) } : { logits } };
  };
}
