// What a joint model takes, without training it.

import { stepsPerEpoch } from "../batches/batches";
import { headParameterCount } from "../model/head-parameters";
import { headOf } from "../tasks/task";
import { turnsOf } from "../training/loop/train-joint";
import { finetune } from "./finetune";
import type { PlannedJoint } from "./joint";
import { estimateTrial, type TrialEstimate } from "./trial/estimate";

/** Of each task as if it were trained alone, as often as it has its turn; the largest step decides about memory. */
export function estimateJoint({ tasks, request }: PlannedJoint): Omit<TrialEstimate, "frozen" | "stored"> {
  const { base, training, mixing } = request;
  const place = { fork: null, layers: base.config.numHiddenLayers };
  const steps = tasks.map(({ data }) => stepsPerEpoch(data.train.lengths.length, training.batchSize));
  const turns = turnsOf(steps, mixing);
  const alone = tasks.map(({ task, data }) =>
    estimateTrial({ base, place, data, training, task, recipe: finetune, options: {} }),
  );
  const sum = (of: (i: number) => number) => tasks.reduce((total, _, i) => total + of(i), 0);
  const ownHead = (i: number) => {
    const { task } = tasks[i] as PlannedJoint["tasks"][number];
    return headParameterCount(headOf(task, base.config).filter(({ ofBase }) => !ofBase));
  };
  const [first] = alone as [TrialEstimate, ...TrialEstimate[]];
  const trainable = first.trainable + sum(ownHead) - ownHead(0);
  return {
    trainable,
    steps: training.epochs * sum((i) => turns[i] as number),
    memoryBytes: Math.max(...alone.map(({ memoryBytes }) => memoryBytes)) + 4 * 7 * (trainable - first.trainable),
    flops: sum((i) => ((alone[i] as TrialEstimate).flops * (turns[i] as number)) / (steps[i] as number)),
  };
}
