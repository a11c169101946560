// export safetensors: one task's weights in one file, with all that somebody needs who serves it by other means.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenizerFiles } from "../../checkpoints/bases/tokenizer-files";
import { readSafetensors, safetensorsChunks } from "../../checkpoints/formats/safetensors";
import type { OpenModelFile } from "../../engines/model-file";
import { licenceForCallers } from "../../merge/folder/licence";
import { forCallers, type MergedTask } from "../../merge/folder/manifest";
import { branchAxes, branchLogits } from "../../model/branch";
import type { EntryPoint } from "../../model/entry-point";
import { configJson } from "../../model/families/config-file";
import { familyOf } from "../../model/families/families";
import { classNameOf } from "../../model/families/head";
import { headOf } from "../../tasks/task";
import { createTokenizer, type Tokenizer } from "../../tokenizer/tokenizer";
import type { CheckTools } from "../check/model-check";
import type { ExportFormat, ExportSource } from "../format";
import { jsonFile } from "../sidecars";
import {
  areTaskFolders,
  checkTaskFolders,
  requireClassTensors,
  taskDepth,
  taskFolder,
  taskTensors,
  writeTaskFolders,
} from "../task-folders";

const WEIGHTS = "model.safetensors";
const TASK = "task.json";

export const safetensorsFolder: ExportFormat = {
  name: "safetensors",
  title: "tasks' weights",
  precisions: [],
  isExport: (folder) => areTaskFolders(folder, (own) => existsSync(path.join(own, TASK))),
  contents(source) {
    requireClassTensors(source);
    return { folders: source.manifest.tasks.map((task) => taskFolder(source, task)) };
  },
  write: (folder, source) => writeTaskFolders(folder, source, (task) => taskFiles(source, task)),
  check(folder, out, source, tools) {
    const places = { folder, out, file: WEIGHTS, runtime: "flexbert" };
    return checkTaskFolders(source, places, tools, (task) => openerOf(source, task, tools));
  },
};

/** Runs a file's tensors as one whole model, from its embeddings up: the file alone, without the folder it came from. */
const openerOf =
  ({ config }: ExportSource, task: MergedTask, { engine }: CheckTools): OpenModelFile =>
  async (file) => {
    const { tensors } = await readSafetensors(file);
    const head = await task.kind.head(config);
    const place = { fork: null, layers: taskDepth(task) };
    const whole: EntryPoint = (state, inputs) => ({
      outputs: { [task.name]: branchLogits(state, inputs as never, place, config, head) },
    });
    const { hidden: _, ...axes } = branchAxes;
    const program = await engine.load(tensors, { whole }, { whole: axes });
    return { run: (inputs) => program.run("whole", inputs), close: async () => program.dispose() };
  };

async function taskFiles(source: ExportSource, task: MergedTask) {
  const { tokenizer, manifest, config } = source;
  const tensors = await taskTensors(source, task);
  return {
    [WEIGHTS]: [...safetensorsChunks(tensors, { task: task.name, base: manifest.base.name })],
    [TASK]: jsonFile(forCallers(task)),
    "config.json": jsonFile(configJson({ ...config, numHiddenLayers: taskDepth(task) })),
    ...tokenizerFiles(tokenizer),
    "README.md": readme(source, task, Object.keys(tensors).length),
  };
}

/** What stands around a text, or two. */
function framed(tokenizer: Tokenizer, isPair: boolean): string {
  const { ids, offsets } = tokenizer.encodeWithOffsets("a", isPair ? "b" : null, 16);
  const parts = offsets.map((offset, i) =>
    offset === null ? tokenizer.token(ids[i] as number) : ["text", "pair"][offset.text],
  );
  return parts.filter((part, i) => part !== parts[i - 1] || part?.match(/[^a-z]/)).join(" ");
}

function readme({ manifest, config, tokenizer }: ExportSource, task: MergedTask, count: number): string {
  const family = familyOf(config);
  const { className } = family;
  const architecture = classNameOf(config, task.kind);
  const depth = taskDepth(task);
  const outputs = task.kind.outputs(task).length;
  const pair = task.inputs === "pair";
  const types = family.inputs.types ? `, token types ${pair ? "0 and 1" : "0"}` : "";
  const [by, vocabulary] =
    "file" in tokenizer
      ? [String(Object(tokenizer.file["model"]).type ?? "WordPiece"), "tokenizer.json"]
      : ["WordPiece", "vocab.txt"];
  const input = `\`${framed(createTokenizer(tokenizer), pair)}\`${types}`;
  const from =
    task.fork === null
      ? "All are the task's own."
      : `Layers below ${task.fork} are the frozen ones of ${manifest.base.name}.`;
  return `# ${task.name}

One task of a merged flexbert model, whole: a ${family.title} of ${depth} layers (hidden size ${config.hiddenSize}, ${config.numAttentionHeads} heads) with its
${task.kind.perWord ? "head" : "pooler and head"}, ${count} float32 tensors in \`${WEIGHTS}\`. ${from}

- Input: ${input}; at most ${task.maxLength} tokens, longest text cut first. ${by} by \`${vocabulary}\` and \`tokenizer_config.json\`.
- Output: logits [batch, ${task.kind.perWord ? "length, " : ""}${outputs}]. What they stand for (labels in id order, range, threshold) is in \`${TASK}\`.
- Tensors have Hugging Face's names and orientation: ${family.names.embeddings.map((name) => `\`${name}*\``).join(", ")}, \`${family.names.layers}0\` to \`${depth - 1}\`, ${headModules(task, config)}. A dense layer is \`x @ weight.T + bias\`; layer norms add ${config.layerNormEps} to the variance.
- Licence of the base: ${licenceForCallers(manifest.base.name)}.

\`\`\`python
from safetensors.torch import load_file
from transformers import ${className}Config, ${architecture}

model = ${architecture}(${className}Config.from_pretrained(".", num_labels=${outputs}))
model.load_state_dict(load_file("${WEIGHTS}"))
\`\`\`
`;
}

/** Each on a line of its own. */
function headModules(task: MergedTask, config: ExportSource["config"]): string {
  const modules = headOf(task, config).map(({ name }) => name.replace(/\.(weight|bias)$/, ""));
  return [...new Set(modules)].map((name) => `\`${name}\``).join(",\n  ");
}
