// What the model card says of model.onnx: its inputs and outputs, and a program that runs it.

import { tokenInputNames } from "../batches/token-inputs";
import { markdownTable, markdownText } from "../messages/markdown";
import type { TokenInputs } from "../model/multi-head";
import { outputSize } from "../tasks/task";
import type { Manifest, MergedTask } from "./folder/manifest";

const meanings: Readonly<Record<keyof TokenInputs, string>> = {
  input_ids: "token ids, by the vocabulary of this folder",
  attention_mask: "1 for tokens, 0 for padding",
  token_type_ids: "0 for the first text, 1 for the second",
};

/** Paragraphs; at least one task. */
export function onnxSection(tasks: readonly MergedTask[], base: Manifest["base"]): string[] {
  const inputs = tokenInputNames(base);
  return [
    "## model.onnx",
    "`model.onnx` is the whole model as one graph of ONNX's standard operators, the shared layers in it once, for " +
      "onnxruntime 1.18 or later. Batch and length are open. It has an output for every task: ask for those that you need.",
    markdownTable(
      ["", "Name", "Type", "Shape", "What it is"].map((title) => ({ title, numeric: false })),
      [
        ...inputs.map((name) => ["input", name, "int64", "batch, length", meanings[name]]),
        ...tasks.map((task) => ["output", task.name, "float32", shapeOf(task), describeOutput(task)]),
      ],
    ),
    example(tasks[0] as MergedTask, inputs),
    "Labels and maximum lengths are in its metadata too (`flexbert.tasks`, JSON). Its weights are the files under `blobs/`: " +
      "move the folder as a whole, or write a file that is whole alone with `flexbert export onnx`.",
  ];
}

const shapeOf = (task: MergedTask): string => `batch, ${task.kind.perWord ? "length, " : ""}${outputSize(task)}`;

function describeOutput({ kind, maxLength }: MergedTask): string {
  return `${kind.card.output}; at most ${maxLength} tokens`;
}

function example(task: MergedTask, names: readonly string[]): string {
  const { name, kind, inputs, maxLength } = task;
  const texts = inputs === "pair" ? '["A man plays."], ["Someone plays."]' : '["A film to see twice."]';
  return [
    `In Python, for ${markdownText(name)}:`,
    "",
    "```python",
    "import onnxruntime",
    "from transformers import AutoTokenizer",
    "",
    'session = onnxruntime.InferenceSession("model.onnx")',
    'tokenizer = AutoTokenizer.from_pretrained(".")',
    `batch = tokenizer(${texts}, padding=True, truncation=True, max_length=${maxLength}, return_tensors="np")`,
    `(logits,) = session.run([${JSON.stringify(name)}], {name: batch[name] for name in ${JSON.stringify(names)}})`,
    ...kind.card.python(task),
    "```",
  ].join("\n");
}
