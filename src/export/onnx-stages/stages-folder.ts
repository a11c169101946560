// export onnx-stages: of each task whose texts may leave early its way in stages, each an ONNX file of its own, and the rule by which
// whoever runs them one after the other lets texts leave. flexbert serve needs none of it: it runs the folder's own pieces.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { tokenInputNames } from "../../batches/token-inputs";
import { tokenizerFiles } from "../../checkpoints/bases/tokenizer-files";
import type { ModelFile, OpenModelFile } from "../../engines/model-file";
import { modelError } from "../../errors/errors";
import type { DecidedExits } from "../../exits/exits";
import { stamped } from "../../files/format";
import { forCallers, type MergedTask } from "../../merge/folder/manifest";
import { unscoped } from "../../model/parameters";
import { STAGE_STATES, type Stage, stagesOf, stageTensors } from "../../model/stages";
import { float32, type HostTensors } from "../../model/tensors";
import type { CheckTools } from "../check/model-check";
import type { ExportFormat, ExportSource } from "../format";
import { jsonFile } from "../sidecars";
import type { Files } from "../target";
import {
  areTaskFolders,
  checkTaskFolders,
  taskDepth,
  taskFolder,
  taskTensors,
  writeTaskFolders,
} from "../task-folders";
import { stageModelFile } from "./stage-model";

const RULE = "stages.json";
const FORMAT = 1;

/** What stages.json says of a stage. */
export interface StageFile {
  readonly file: string;
  /** Encoder layers, the first and the one past the last. */
  readonly layers: readonly [number, number];
  readonly inputs: readonly string[];
  /** `logits`, and but for the last stage what the next takes as `hidden`. */
  readonly outputs: readonly string[];
}

export const onnxStages: ExportFormat = {
  name: "onnx-stages",
  title: "stages of tasks",
  precisions: [],
  ramps: true,
  isExport: (folder) => areTaskFolders(folder, (own) => existsSync(path.join(own, RULE))),
  contents(source) {
    const { tasks } = source.manifest;
    for (const task of tasks) ruleOf(task);
    return { folders: tasks.map((task) => taskFolder(source, task)) };
  },
  write: (folder, source) => writeTaskFolders(folder, source, (task) => taskFiles(source, task)),
  check(folder, out, source, tools) {
    const places = { folder, out, file: RULE, runtime: "onnxruntime", leaving: true } as const;
    return checkTaskFolders(source, places, tools, (task) => stagesOpener(task, tools));
  },
};

/** Throws modelError (4) for a task whose texts do not leave early. */
function ruleOf({ name, exits }: MergedTask): DecidedExits {
  if (exits?.rule) return exits.rule;
  throw modelError(
    `${name} has no rule by which texts leave early, so it has no stages. Name others with --task, or run: flexbert exits --task ${name}`,
  );
}

async function taskFiles(source: ExportSource, task: MergedTask): Promise<Files> {
  const { config, tokenizer } = source;
  const rule = ruleOf(task);
  const tensors = { ...(await taskTensors(source, task)), ...unscoped(task.name, await source.readRamps(task)) };
  const head = await task.kind.head(config);
  const stages = stagesOf(rule.stops, taskDepth(task));
  const files: Record<string, Files[string]> = {};
  for (const [i, stage] of stages.entries()) {
    files[fileOf(i)] = await stageModelFile(config, stage, head, stageTensors(tensors, stage));
  }
  return { ...files, [RULE]: jsonFile(stagesJson(task, rule, stages, source)), ...tokenizerFiles(tokenizer) };
}

const fileOf = (at: number): string => `stage-${at + 1}.onnx`;

const stagesJson = (task: MergedTask, rule: DecidedExits, stages: readonly Stage[], { config }: ExportSource) =>
  stamped({
    format: FORMAT,
    task: forCallers(task),
    ...rule,
    stages: stages.map(
      ({ from, to, last }, i): StageFile => ({
        file: fileOf(i),
        layers: [from, to],
        inputs: from === 0 ? tokenInputNames(config) : ["hidden", "attention_mask"],
        outputs: last ? ["logits"] : ["logits", STAGE_STATES],
      }),
    ),
  });

/** Runs all stages, one after the other, and no text leaves: what the ramps say and then the head, side by side. */
const stagesOpener =
  ({ name }: MergedTask, { open }: CheckTools): OpenModelFile =>
  async (file) => {
    const folder = path.dirname(file);
    const { stages } = JSON.parse(await readFile(file, "utf8")) as { readonly stages: readonly StageFile[] };
    const models: (StageFile & { readonly model: ModelFile })[] = [];
    for (const stage of stages) models.push({ ...stage, model: await open(path.join(folder, stage.file)) });
    return {
      async run(given) {
        const said: HostTensors[string][] = [];
        let below: HostTensors = given;
        for (const { inputs, model } of models) {
          const asked = Object.fromEntries(inputs.map((input) => [input, below[input] as HostTensors[string]]));
          const { logits, [STAGE_STATES]: hidden } = await model.run(asked);
          said.push(logits as HostTensors[string]);
          below = { ...given, ...(hidden ? { hidden } : {}) };
        }
        return { [name]: beside(said) };
      },
      async close() {
        for (const { model } of models) await model.close();
      },
    };
  };

/** [rows, outputs] of each, side by side. */
function beside(parts: readonly HostTensors[string][]): HostTensors[string] {
  const [{ shape }] = parts as [HostTensors[string]];
  const [rows, width] = shape as [number, number];
  const data = new Float32Array(rows * width * parts.length);
  for (const [i, part] of parts.entries()) {
    for (let row = 0; row < rows; row++) {
      const own = (part.data as Float32Array).subarray(row * width, (row + 1) * width);
      data.set(own, (row * parts.length + i) * width);
    }
  }
  return float32([rows, width * parts.length], data);
}
