// --tensorboard and --mlflow: who hears of metrics while finetune, distill and run train.

import { usageError } from "../errors/errors";
import { optional, toggle } from "../options/option";
import { text } from "../options/readers";
import type { Tracker } from "../training/tracking/tracker";
import type { Call } from "./caller";

export const trackerOptions = {
  tensorboard: toggle({ flag: "--tensorboard", help: "write TensorBoard event files into the run folders too" }),
  mlflow: optional(text, {
    flag: "--mlflow",
    value: "<uri>",
    help: "send metrics to this MLflow server too, such as http://localhost:5000",
  }),
};

export interface TrackerValues {
  readonly tensorboard: boolean;
  readonly mlflow: string | undefined;
  readonly offline: boolean;
}

/** Throws usageError (2) for an address that is none, and for a server with --offline. */
export async function openTrackers(
  { tensorboard, mlflow, offline }: TrackerValues,
  { reporter }: Pick<Call, "reporter">,
): Promise<Tracker[]> {
  const trackers: Tracker[] = [];
  if (tensorboard) {
    const { tensorBoardTracker } = await import("../training/tracking/tensorboard.js");
    trackers.push(tensorBoardTracker(reporter));
  }
  if (mlflow !== undefined) {
    if (offline) throw usageError(`--mlflow ${mlflow} needs the network, which --offline forbids. Give one of them`);
    const { mlflowTracker } = await import("../training/tracking/mlflow.js");
    const { parseMlflowUri } = await import("../training/tracking/mlflow-server.js");
    trackers.push(mlflowTracker(parseMlflowUri(mlflow), reporter));
  }
  return trackers;
}
