// export transformers: the family's ordinary class a task, such as BertForSequenceClassification or BertForTokenClassification, as
// save_pretrained leaves one: the trunk's layers and the branch's in one model, which knows nothing of the other tasks.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenizerConfigJson, tokenizerFiles } from "../../checkpoints/bases/tokenizer-files";
import { safetensorsChunks } from "../../checkpoints/formats/safetensors";
import { modelError } from "../../errors/errors";
import { licenceForCallers } from "../../merge/folder/licence";
import type { MergedTask } from "../../merge/folder/manifest";
import { configJson } from "../../model/families/config-file";
import { familyOf } from "../../model/families/families";
import { classNameOf } from "../../model/families/head";
import { schemeOf } from "../../tasks/tags";
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
const CONFIG = "config.json";
const SPECIAL = "special_tokens_map.json";

export const transformers: ExportFormat = {
  name: "transformers",
  title: "transformers' models",
  precisions: [],
  isExport: (folder) => areTaskFolders(folder, hasModel),
  contents(source) {
    requireClassTensors(source);
    const foreign = source.manifest.tasks.find(({ kind }) => kind.problemType === undefined && !kind.perWord);
    if (foreign) {
      throw modelError(
        `${foreign.name} is a task of the kind ${foreign.kind.name}, for which transformers has no problem_type. ` +
          "Name other tasks with --task",
      );
    }
    return { folders: source.manifest.tasks.map((task) => taskFolder(source, task)) };
  },
  write: (folder, source) => writeTaskFolders(folder, source, (task) => taskFiles(source, task)),
  check(folder, out, source, tools) {
    const places = { folder, out, file: ".", runtime: "transformers" };
    return checkTaskFolders(source, places, tools, ({ name }) => async (target) => {
      const file = await tools.open(target);
      const run: typeof file.run = async (inputs) => {
        const { logits } = await file.run(inputs);
        return logits ? { [name]: logits } : {};
      };
      return { run, close: () => file.close() };
    });
  },
};

/** The last of them tells it from a task's weights for other servers. */
const hasModel = (folder: string) => [CONFIG, WEIGHTS, SPECIAL].every((name) => existsSync(path.join(folder, name)));

async function taskFiles(source: ExportSource, task: MergedTask) {
  const { tokenizer, manifest } = source;
  const special = ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
  const settings = tokenizerConfigJson(tokenizer);
  // A tokenizer's own class may write token types that the family's model does not take.
  const inputNames = familyOf(source.config).inputs.types ? {} : { model_input_names: ["input_ids", "attention_mask"] };
  return {
    [WEIGHTS]: [...safetensorsChunks(await taskTensors(source, task))],
    [CONFIG]: jsonFile(classifierConfig(source, task)),
    ...tokenizerFiles(tokenizer, { model_max_length: task.maxLength, ...inputNames }),
    [SPECIAL]: jsonFile(Object.fromEntries(Object.entries(settings).filter(([key]) => special.includes(key)))),
    "README.md": card(source, task, licenceForCallers(manifest.base.name)),
  };
}

/** A regression has one output, which transformers names as it names any. */
function classifierConfig({ config }: ExportSource, task: MergedTask): object {
  const names = task.kind.definedBy === "labels" ? task.labels : ["LABEL_0"];
  return {
    ...configJson({ ...config, numHiddenLayers: taskDepth(task) }),
    architectures: [classNameOf(config, task.kind)],
    ...(task.kind.problemType === undefined ? {} : { problem_type: task.kind.problemType }),
    id2label: Object.fromEntries(names.map((label, id) => [id, label])),
    label2id: Object.fromEntries(names.map((label, id) => [label, id])),
    // No key of transformers', which keeps what it does not know.
    ...(typeof task.threshold === "object" ? { thresholds: task.threshold } : {}),
    dtype: "float32",
  };
}

/** The pipeline groups tags that begin with B- and I-, or have no prefix: of BIOES it gives words. */
const grouped = ({ labels }: MergedTask): string =>
  schemeOf(labels) === "BIOES" ? "" : `, aggregation_strategy="first"`;

/** The pipeline knows no thresholds: who has tuned ones decides by the logits. */
function tunedUse(task: MergedTask): string {
  if (typeof task.threshold !== "object") return "";
  const texts = task.inputs === "pair" ? `["A man plays."], ["Someone plays."]` : `["A film to see twice."]`;
  return `
Its labels have thresholds of their own (\`thresholds\` in config.json, by id), which the pipeline does not apply:

\`\`\`python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained(".")
inputs = AutoTokenizer.from_pretrained(".")(${texts}, truncation=True, return_tensors="pt")
probabilities = model(**inputs).logits.sigmoid()
labels = model.config.id2label
for row in probabilities.tolist():
    print([labels[i] for i, own in enumerate(model.config.thresholds) if row[i] >= own])
\`\`\`
`;
}

function card({ manifest }: ExportSource, task: MergedTask, licence: string): string {
  const [name, pipeline] = task.kind.perWord ? ["tag", "token-classification"] : ["classify", "text-classification"];
  const call = task.kind.perWord
    ? `tag("A text whose words get tags.")`
    : task.inputs === "pair"
      ? `classify({"text": "A man plays.", "text_pair": "Someone plays."}, truncation=True)`
      : `classify("A film to see twice.", truncation=True)`;
  const own =
    task.fork === null ? "all its own" : `the lower ${task.fork} of them the frozen ones of ${manifest.base.name}`;
  return `# ${task.name}

Exported by flexbert from a merged model: ${taskDepth(task)} encoder layers, ${own}.
Licence of the base: ${licence}.

\`\`\`python
from transformers import pipeline

${name} = pipeline("${pipeline}", model="."${task.kind.perWord ? grouped(task) : ""})
print(${call})
\`\`\`
${tunedUse(task)}`;
}
