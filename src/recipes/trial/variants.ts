// From a variant that a recipe names to a trial with its place, id and folder.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError } from "../../errors/errors";
import type { Place } from "../../model/place";
import type { TrialSettings, Variant } from "../recipe";
import { describeTrial, referenceTo, type SweepTrial } from "./trial";

/** What the trials of a sweep have in common. */
export interface SweepSettings extends Pick<TrialSettings, "recipe" | "task" | "base" | "training" | "data"> {
  /** Of what makes students: the finished run that teaches them. */
  readonly teacher: StoredRun | null;
  /** The teacher's other seeds. */
  readonly seedsOfTeacher?: readonly StoredRun[];
}

/** Whether there is anything to train: a task keeps a teacher that has no more layers than the student would have. */
export const isNeeded = ({ place }: Variant, teacher: StoredRun | null): boolean =>
  teacher === null || place.layers < teacher.record.layers;

/** One variant with one seed; a student stands where its teacher's fork is, and is known by its teacher. */
export function sweepTrial(
  { teacher, seedsOfTeacher = [], ...common }: SweepSettings,
  variant: Variant,
  seed: number,
  checkpoints: string,
): SweepTrial {
  const place = placeOn(variant, teacher);
  const settings: TrialSettings = {
    ...{ ...common, ...variant, place, seed },
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
    const seeds = others.length === 0 ? "one seed" : `${others.length + 1} seeds`;
    throw modelError(
      `--teachers ${teachers}: ${task} has ${seeds} of its teacher ${teacher.folder}. ` +
        `Run: flexbert ${method} --task ${task} --k ${layers} --seeds ${teachers}, with its other options`,
    );
  }
  return { taughtBy: [teacher, ...others.slice(0, teachers - 1)] };
}
