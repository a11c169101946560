// The model card of a merged folder: README.md with the front matter that the Hugging Face hub reads. It says what a
// version's manifest says and nothing else, and lies beside that; the folder's README.md is a copy of the current version's.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { ruleInWords } from "../exits/words";
import { writeFileAtomic } from "../files/atomic";
import { markdownTable, markdownText } from "../messages/markdown";
import { formatMetrics, formatScore, formatUntuned } from "../messages/quantities";
import { counted } from "../messages/words";
import { familyOf, modelTypeOf } from "../model/families/families";
import { overhead } from "../model/overhead";
import { glueTasks } from "../tasks/glue";
import { onnxSection } from "./card-onnx";
import { licenceOf } from "./folder/licence";
import type { Manifest, MergedTask } from "./folder/manifest";
import { adapterLines } from "./picture/outline";
import { textPicture } from "./picture/text";

export const CARD = "README.md";

/** A card without this line is somebody's own. */
const MARK = "<!-- Written by flexbert merge, which writes it again. Take this line out to keep your changes. -->";

/** Writes the card, unless README.md is somebody's own or says that already. */
export async function writeCard(folder: string, text: string): Promise<void> {
  const file = path.join(folder, CARD);
  const stands = existsSync(file) && (!(await hasCard(folder)) || (await readFile(file, "utf8")) === text);
  if (!stands) await writeFileAtomic(file, text);
}

/** Whether README.md is the card, or somebody's own. */
export async function hasCard(folder: string): Promise<boolean> {
  const file = path.join(folder, CARD);
  return existsSync(file) && (await readFile(file, "utf8")).includes(MARK);
}

export function modelCard(manifest: Manifest): string {
  const { base, tasks, onnx } = manifest;
  const cost = overhead(manifest);
  const whole = base.layers * tasks.length;
  const glue = tasks.some(({ name }) => isGlue(name));
  return `${[
    `---\n${stringify(frontMatter(manifest))}---`,
    MARK,
    `# ${tasks.length === 1 ? "One task" : `${tasks.length} tasks`} on one ${markdownText(base.name)}`,
    `A multi-head ${familyOf(base).title} made by flexbert, after *A Flexible Multi-Task Model for BERT Serving*: each task has its own top ` +
      "layers, pooler and head above a frozen trunk that all tasks share and that runs once.",
    "## Tasks",
    "Scores are of the dev split, in points.",
    tasksTable(manifest),
    ...labelLines(tasks),
    ...tunedLines(tasks),
    ...exitLines(manifest),
    "## Layers",
    `${cost.shared} shared and ${cost.layers - cost.shared} task layers: ${cost.layers} of the ${whole} that ` +
      `${counted(tasks.length, "whole model")} of ${base.layers} layers would run` +
      `${whole > 0 ? ` (${(100 * cost.share).toFixed(1)} %)` : ""}.`,
    ...adapterLines(tasks).map((line) => `- ${markdownText(line)}.`),
    ...(tasks.length > 0 ? [`\`\`\`text\n${textPicture(manifest)}\n\`\`\``] : []),
    `Base: ${markdownText(base.name)}, sha256 of its weights \`${base.sha256}\`.`,
    "## Use",
    usage(tasks),
    "The folder is complete: vocabulary and configuration lie in it. Its weights are safetensors under `blobs/` with " +
      "Hugging Face's tensor names; `flexbert.json` says which belongs to which task.",
    ...(onnx ? onnxSection(tasks, base) : []),
    "## Licence",
    licenceText(base.name, glue),
  ].join("\n\n")}\n`;
}

function frontMatter({ base, tasks, onnx }: Manifest): object {
  const names = tasks.map(({ name }) => name);
  const glue = names.filter(isGlue);
  // A name without an owner is the hub's own, or that of a folder.
  const onHub = licenceOf(base.name) !== null || /^[\w.-]+\/[\w.-]+$/.test(base.name);
  return {
    license: licenceOf(base.name) ?? "unknown",
    ...(glue.length > 0 && glue.length === names.length ? { language: "en" } : {}),
    library_name: "flexbert",
    ...(onHub ? { base_model: base.name } : {}),
    pipeline_tag: tasks.every(isTokens) ? "token-classification" : "text-classification",
    tags: [modelTypeOf(base), "multi-task", "flexbert", ...(onnx ? ["onnx"] : [])],
    ...(glue.length > 0 ? { datasets: ["nyu-mll/glue"] } : {}),
    "model-index": [{ name: "merged", results: tasks.map(hubResult) }],
  };
}

const isTokens = ({ kind }: MergedTask) => kind.perWord === true;

function hubResult(task: MergedTask): object {
  const { name, kind, metrics } = task;
  const title = titleOf(name);
  const known = Object.entries(metrics).filter(([, value]) => value !== null);
  return {
    task: { type: isTokens(task) ? "token-classification" : "text-classification", name: title },
    dataset: isGlue(name)
      ? {
          type: "nyu-mll/glue",
          name: `GLUE ${title}`,
          config: name,
          split: name === "mnli" ? "validation_matched" : "validation",
        }
      : { type: name, name: title, split: "dev" },
    metrics: known.map(([metric, value]) => ({ type: kind.metrics[metric]?.hub ?? metric, name: metric, value })),
  };
}

const isGlue = (name: string) => Object.hasOwn(glueTasks, name);
const titleOf = (name: string) => Object.values(glueTasks).find((task) => task.name === name)?.title ?? name;

function tasksTable({ tasks }: Manifest): string {
  const columns = ["Task", "Kind", "Metric", "Dev score", "Also", "Fork", "Own layers", "Run"];
  return markdownTable(
    columns.map((title) => ({ title, numeric: title === "Dev score" || title === "Fork" || title === "Own layers" })),
    tasks.map((task) => {
      const others = Object.entries(task.metrics).filter(([metric]) => metric !== task.metric);
      return [
        titleOf(task.name),
        `${task.kind.name}, ${task.inputs === "pair" ? "two texts" : "one text"}`,
        task.metric,
        formatScore(task.score, "undefined"),
        formatMetrics(others),
        task.fork === null ? "none" : String(task.fork),
        String(task.layers),
        task.run,
      ];
    }),
  );
}

function labelLines(tasks: readonly MergedTask[]): string[] {
  const lines = tasks.map(({ name, labels, range }) => {
    const values = range ? `values from ${range[0]} to ${range[1]}` : labels.map(markdownText).join(", ");
    return `- ${markdownText(titleOf(name))}: ${values || "values"}`;
  });
  return lines.length > 0 ? ["Labels:", lines.join("\n")] : [];
}

/** Thresholds that were chosen on the very rows that scored them. */
function tunedLines(tasks: readonly MergedTask[]): string[] {
  const lines = tasks.flatMap(({ name, labels, threshold, untuned }) => {
    if (typeof threshold !== "object") return [];
    const each = labels.map((label, id) => `${markdownText(label)} ${threshold[id]}`).join(", ");
    return [`- ${markdownText(titleOf(name))}: ${each}${untuned ? `. Dev rows ${formatUntuned(untuned)}` : ""}`];
  });
  const what =
    "Thresholds, of each label the one that does best on the dev rows, so that the dev score is better than that of other rows will be:";
  return lines.length > 0 ? [what, lines.join("\n")] : [];
}

/** By what texts leave, in each form of the weights. */
function exitLines({ tasks, int8 }: Manifest): string[] {
  const lines = tasks.flatMap(({ name, exits }) => {
    if (!exits?.rule) return [];
    const title = markdownText(titleOf(name));
    const of = int8?.tasks[name]?.exits;
    const none = `texts do not leave early${of?.why ? ` (${of.why})` : ""}`;
    const inInt8 = `- ${title} in int8: ${of?.rule ? ruleInWords(of.rule) : none}`;
    return [`- ${title}: ${ruleInWords(exits.rule)}`, ...(int8 ? [inInt8] : [])];
  });
  const what =
    "Texts may leave before their task's last layer, where a ramp is sure of them (`--exit off` runs all layers):";
  return lines.length > 0 ? [what, lines.join("\n")] : [];
}

function usage(tasks: readonly MergedTask[]): string {
  const pair = tasks.find(({ inputs }) => inputs === "pair");
  const single = tasks.find(({ inputs }) => inputs === "single");
  const lines = [
    ...(single ? [`flexbert predict --model . --task ${single.name} --text "A film to see twice."`] : []),
    ...(pair ? [`flexbert predict --model . --task ${pair.name} --text "A man plays." --pair "Someone plays."`] : []),
  ];
  return [
    "```sh",
    ...lines,
    "flexbert eval --model . --glue-data FOLDER   # the folder with the tasks' data",
    "```",
  ].join("\n");
}

function licenceText(base: string, glue: boolean): string {
  const licence = licenceOf(base);
  const of = licence
    ? `The base ${markdownText(base)} is published under ${licence}.`
    : "The licence of the base is not known to flexbert. See the base's own.";
  const glueText = glue ? " GLUE's tasks have terms of their own, by task." : "";
  return `${of} What the train data allow is for their owner to say.${glueText}`;
}
