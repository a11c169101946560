// What merge, update and add ask of int8: a folder that has it has it after them too, of what is new in the same version.

import type { Int8Maker } from "../../merge/merge";
import { formatScore } from "../../messages/quantities";
import { defaultOf } from "../../options/settings";
import type { FittedTask } from "../../quantise/fit";
import type { Call } from "../caller";
import { openerOrWarning } from "../model-check";
import { maxDropOption, quantiseTools } from "../quantise-tools";
import { openSession } from "../session";

interface Int8Values {
  readonly tasks: string | undefined;
  readonly glueData: string;
  readonly threads: number | undefined;
}

/** Makes new branches int8, measured on their dev rows; without onnxruntime unmeasured, which a warning says. */
export const int8Maker = (values: Int8Values, call: Call): Int8Maker => {
  return async (out, contents, before, onCreated) => {
    const { readShared } = await import("../../merge/folder/blobs.js");
    const { requantise } = await import("../../quantise/write.js");
    const shared = await readShared(out, contents);
    const open = () => openSession({ engine: "onnx", threads: values.threads }, call);
    const session = await openerOrWarning({ name: "int8", engine: "onnx", open }, call.reporter);
    try {
      const measuring = {
        ...values,
        file: undefined,
        maxDrop: defaultOf(maxDropOption.maxDrop),
        maxEvalSamples: undefined,
        skipBrokenRows: true,
      };
      const tools = session?.engine.openGraph ? await quantiseTools(session.engine, measuring, call) : null;
      const { int8, tasks } = await requantise({ out, contents, before, ...shared, onCreated }, tools);
      for (const task of tasks) call.reporter.log(described(task));
      for (const { task, exits } of tasks) {
        if (exits && !exits.rule) call.reporter.warn(`${task}: texts do not leave early in int8 (${exits.why})`);
      }
      return int8;
    } finally {
      session?.close();
    }
  };
};

const described = ({ task, before, after, source, largest }: FittedTask): string =>
  before === null
    ? `${task} in int8: score not measured, logits of ${source} differ by at most ${largest.toPrecision(2)}`
    : `${task} in int8: ${formatScore(after)} on its dev rows, ${formatScore(before)} in float32`;
