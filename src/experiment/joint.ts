// What an experiment file's section `joint` asks for: a model of all tasks together, and one for each task of the others.

import { settingsFrom } from "../options/settings";
import type { Problem } from "../options/yaml-file";
import { headSettings, jointSettings } from "../settings/joint";
import { seedOptions, type TrainingOptions, trainingSettings } from "../settings/training";
import type { Task } from "../tasks/task";
import type { ExperimentFile } from "./schema";

type Section = NonNullable<ExperimentFile["joint"]>;

/** Of an experiment what this reads. */
interface WithJoint extends Pick<TrainingOptions, "maxLength" | "precision"> {
  readonly tasks: readonly Task[];
  /** null where the file leaves the step out. */
  readonly joint?: Section | null | undefined;
}

/** By the names of `flexbert joint`, whose defaults they have: what the file says of branches is not for whole encoders. */
export function jointOptionsOf({ joint, tasks, maxLength, precision }: WithJoint) {
  const { leave_one_out: leaveOneOut = false, ...given } = { ...joint };
  const { headLearningRate, headEpochs, mixing } = settingsFrom({ ...jointSettings, ...headSettings }, given);
  const training = { ...settingsFrom(trainingSettings, given), maxLength, precision };
  const { seeds: count = 1 } = settingsFrom({ seeds: seedOptions.seeds }, given);
  const others = leaveOneOut ? tasks.map((left) => tasks.filter((task) => task !== left)) : [];
  return {
    ...{ training, mixing, headLearningRate, headEpochs, leaveOneOut },
    seeds: Array.from({ length: count }, (_, i) => i + 1),
    /** Which tasks train together in each of its models. */
    sets: [tasks, ...others] as readonly (readonly Task[])[],
  };
}

/** A section that asks for what its tasks are too few for. */
export function jointProblems(section: Section, tasks: readonly string[]): Problem[] {
  const least = section.leave_one_out ? 3 : 2;
  if (tasks.length >= least) return [];
  const why = section.leave_one_out ? "leave_one_out trains the others together" : "it trains several tasks together";
  return [{ path: ["joint"], message: `needs at least ${least} tasks: ${why}` }];
}
