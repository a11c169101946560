// From a variant that a recipe names to a trial with its place, id and folder.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import type { Place } from "../../model/place";
import type { TrialSettings, Variant } from "../recipe";
import { describeTrial, type SweepTrial } from "./trial";

/** What the trials of a sweep have in common. */
export interface SweepSettings extends Pick<TrialSettings, "recipe" | "task" | "base" | "training" | "data"> {
  /** Of what makes students: the finished run that teaches them. */
  readonly teacher: StoredRun | null;
}

/** Whether there is anything to train: a task keeps a teacher that has no more layers than the student would have. */
export const isNeeded = ({ place }: Variant, teacher: StoredRun | null): boolean =>
  teacher === null || place.layers < teacher.record.layers;

/** One variant with one seed; a student stands where its teacher's fork is, and is known by its teacher. */
export function sweepTrial(
  { teacher, ...common }: SweepSettings,
  variant: Variant,
  seed: number,
  checkpoints: string,
): SweepTrial {
  const place = placeOn(variant, teacher);
  const settings: TrialSettings = {
    ...{ ...common, ...variant, place, seed },
    ...(teacher ? { teacher: referenceTo(teacher) } : {}),
  };
  return { settings, trial: describeTrial(settings, checkpoints) };
}

function placeOn({ place: { fork, layers } }: Variant, teacher: StoredRun | null): Place {
  if (fork !== "teacher") return { fork, layers };
  if (!teacher) throw new Error("a place on the teacher's fork was asked for without a teacher");
  return { fork: teacher.record.fork, layers };
}

const referenceTo = ({ folder, record: { id, sha256, score } }: StoredRun) => {
  return { id, folder, sha256: sha256 as string, score };
};
