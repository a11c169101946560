// From a variant that a recipe names to a trial with its place, id and folder.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { IMPORTED } from "../../checkpoints/runs/run-record";
import { modelError } from "../../errors/errors";
import { canonicalJson } from "../../files/hash";
import type { Place } from "../../model/place";
import type { Task } from "../../tasks/task";
import type { TrialSettings, Variant } from "../recipe";
import { readTransfer, type TransferPlaces, type TransferRequest, type TransferTexts } from "./transfer";
import { describeTrial, referenceTo, type SweepTrial } from "./trial";

/** What the trials of a sweep have in common. */
export interface SweepSettings extends Pick<TrialSettings, "recipe" | "task" | "base" | "training" | "data"> {
  /** Of what makes students: the finished run that teaches them. */
  readonly teacher: StoredRun | null;
  /** The teacher's other seeds. */
  readonly seedsOfTeacher?: readonly StoredRun[];
  /** By {@link transferKey}, what the variants' requests mean for the task. */
  readonly transfers?: ReadonlyMap<string, TransferTexts>;
}

/** Whether there is anything to train: a task keeps a teacher that has no more layers than the student would have. */
export const isNeeded = ({ place }: Variant, teacher: StoredRun | null): boolean =>
  teacher === null || place.layers < teacher.record.layers;

/** One variant with one seed; a student stands where its teacher's fork is, and is known by its teacher. */
export function sweepTrial(
  { teacher, seedsOfTeacher = [], transfers, ...common }: SweepSettings,
  variant: Variant,
  seed: number,
  checkpoints: string,
): SweepTrial {
  const place = placeOn(variant, teacher);
  const { transfer: asked, ...own } = variant;
  const transfer = asked && transfers?.get(transferKey(asked));
  if (asked && !transfer) throw new Error("the transfer set of a variant was not read");
  const settings: TrialSettings = {
    ...{ ...common, ...own, place, seed },
    ...(transfer ? { transfer } : {}),
    ...(teacher ? { teacher: referenceTo(teacher), ...taughtBy(variant, teacher, seedsOfTeacher) } : {}),
  };
  return { settings, trial: describeTrial(settings, checkpoints) };
}

function placeOn({ place: { fork, layers } }: Variant, teacher: StoredRun | null): Place {
  if (fork !== "teacher") return { fork, layers };
  if (!teacher) throw new Error("a place on the teacher's fork was asked for without a teacher");
  return { fork: teacher.record.fork, layers };
}

/** The teacher and as many of its other seeds as a variant asks for. Throws modelError (4) where there are fewer. */
function taughtBy({ teachers = 1 }: Variant, teacher: StoredRun, others: readonly StoredRun[]) {
  if (teachers === 1) return {};
  const { task, layers, method } = teacher.record;
  if (others.length + 1 < teachers) {
    if (method === IMPORTED) {
      throw modelError(
        `--teachers ${teachers}: the teacher of ${task} was imported, and has no other seeds. Leave it out`,
      );
    }
    const seeds = others.length === 0 ? "one seed" : `${others.length + 1} seeds`;
    throw modelError(
      `--teachers ${teachers}: ${task} has ${seeds} of its teacher ${teacher.folder}. ` +
        `Run: flexbert ${method} --task ${task} --k ${layers} --seeds ${teachers}, with its other options`,
    );
  }
  return { taughtBy: [teacher, ...others.slice(0, teachers - 1)] };
}

/** What tells requests of one task apart. */
export const transferKey = (request: TransferRequest): string => canonicalJson(request);

/** What each of the variants asks for. */
export async function readTransfers(
  variants: readonly Pick<Variant, "transfer">[],
  task: Task,
  places: TransferPlaces,
  data: Parameters<typeof readTransfer>[3],
): Promise<ReadonlyMap<string, TransferTexts>> {
  const found = new Map<string, TransferTexts>();
  for (const { transfer } of variants) {
    if (!transfer || found.has(transferKey(transfer))) continue;
    found.set(transferKey(transfer), await readTransfer(transfer, task, places, data));
  }
  return found;
}
