// Every reader of files, with files that it reads, how they are changed, the commands that read them, and the exit codes
// that a damaged one may give (docs/files.md).

import fc from "fast-check";
import { parse } from "yaml";
import { editedJson, editedYaml } from "./documents";
import { editedTable, readCells, type TableEdit, type TableFormat, tableEdits } from "./tables";
import { type Change, change, changed, editedSafetensors, editedZip } from "./weights";

export interface Reader {
  /** Files of the workspace, of which a case changes one. */
  readonly files: readonly string[];
  /**
   * Command lines that read a file; FILE stands for it, STDIN gives it as stdin. What begins with RARELY takes a second where
   * the file is good, and is drawn less often.
   */
  commands(file: string): readonly string[];
  readonly codes: readonly number[];
  /** Of the cases of other readers, where one takes its time. */
  readonly share?: number;
  /** The changed file. */
  edit(good: Uint8Array, drawn: Drawn, file: string): Uint8Array;
}

export interface Drawn {
  readonly change: Change;
  readonly table: readonly TableEdit[];
}

export const drawn: fc.Arbitrary<Drawn> = fc.record({ change, table: tableEdits });

const byFormat =
  (format: ((good: Uint8Array, drawn: Drawn, file: string) => Uint8Array | string) | null): Reader["edit"] =>
  (good, drawn, file) =>
    changed(good, drawn.change, format && ((bytes) => Buffer.from(format(bytes, drawn, file))));

const json = byFormat((good, { change }) => editedJson(JSON.parse(Buffer.from(good).toString()), change.edits));
const yaml = byFormat((good, { change }) => editedYaml(parse(Buffer.from(good).toString()), change.edits));
const safetensors = byFormat((good, { change }) => editedSafetensors(good, change.edits));
const zip = byFormat((good, { change }) => editedZip(good, change.zip));
const bytes = byFormat(null);
const table = (format: TableFormat, ...others: readonly TableFormat[]) =>
  byFormat((good, { table, change }) => {
    const written = [format, ...others][change.damage.at % (1 + others.length)] as TableFormat;
    return editedTable(readCells(Buffer.from(good).toString(), format), table, written);
  });

const own = "--tasks tasks.yaml";
const training = `${own} --base tiny --max-length 32 --batch-size 8 --engine wasm --threads 1`;

/** What reads a task's file of rows. */
const rowCommands = (task: string, columns: string) => [
  `data check --task ${task} ${own}`,
  `data check --task ${task} ${own} --base tiny --json`,
  `RARELY finetune --task ${task} --k 1 ${training} --dry-run`,
  `RARELY finetune --task ${task} --k 1 ${training} --skip-broken-rows --dry-run --json`,
  `tasks init FILE --tasks scratch/tasks.yaml`,
  `tasks init FILE --tasks scratch/tasks.yaml --json`,
  `tasks init FILE --tasks scratch/tasks.yaml --dry-run`,
  `RARELY predict --model merged --file FILE --engine wasm --threads 1 ${own} --format tsv`,
  `RARELY predict --model merged --file FILE --columns ${columns} --keep-columns --engine wasm --threads 1`,
  `RARELY predict --model merged --file FILE --engine wasm --threads 1 --format jsonl --output scratch/out.jsonl`,
  "RARELY predict --model merged --engine wasm --threads 1 --format jsonl STDIN",
  `RARELY distill --task mood --transfer FILE --student-layers 1 ${training} --dry-run`,
  "tokenize --base tiny STDIN",
  "tokenize --base tiny --pairs STDIN",
  `RARELY run small.yaml --engine wasm --dry-run --out scratch/results`,
  `plan small.yaml --out scratch/results`,
];

const runCommands = [
  "status",
  "status --json",
  `select --threshold 1 ${training.replace(/ --max-length 32 --batch-size 8/, "")} --out scratch/selection.json`,
  `select --task mood --select best ${own} --base tiny --json`,
  `merge --out scratch/merged --dry-run ${own} --base tiny`,
  `RARELY merge --out scratch/merged --task mood --no-onnx ${own} --base tiny --engine wasm --threads 1`,
  `RARELY report --out scratch/report --base tiny ${own}`,
  `RARELY report --out scratch/report --task mood ${own} --json`,
  `RARELY distill --task mood --student-layers 1 ${training} --dry-run`,
  `RARELY finetune --task mood --k 1-3 --seeds 2 --learning-rate 3e-3 ${training} --dry-run`,
  "clean --dry-run",
  "clean --dry-run --json",
];

const run = "checkpoints/tiny/mood/finetune/k02-seed2-234b68ea";
const student = "checkpoints/tiny/mood/distill/l1-teacher-seed1-3716e977";
const unfinished = "checkpoints/tiny/verdict/finetune/k02-seed7-f1cd61fe";

const blobs = ["merged/blobs/mood-6d9dea67.safetensors", "merged/blobs/embeddings-80828d8d.safetensors"];
const branchCommands = [
  `predict --model ${run} --base tiny --engine wasm --threads 1 the-film`,
  `RARELY eval --model ${run} --base tiny --engine wasm --threads 1 ${own} --json`,
  `RARELY merge --out scratch/merged --task mood --select teacher --no-onnx ${own} --base tiny --engine wasm --threads 1`,
  `RARELY distill --task mood --student-layers 1 ${training} --dry-run`,
];

const baseCommands = (base: string) => [
  `tokenize --base ${base} text`,
  `data check --task mood ${own} --base ${base}`,
  `RARELY finetune --task mood --k 1 ${own} --base ${base} --engine wasm --threads 1 --max-length 16 --dry-run`,
  `select --threshold 1 ${own} --base ${base}`,
  `import ${base} --task mood ${own} --base tiny --labels bad,good --checkpoints scratch/checkpoints --engine wasm --threads 1`,
];

const versionCommands = (folder: string) => [
  `inspect ${folder}`,
  `inspect ${folder} --json`,
  `history --merged ${folder}`,
  `history --merged ${folder} --json`,
  `diff nowhere --merged ${folder}`,
  `rollback nowhere --merged ${folder}`,
  `gc --merged ${folder} --dry-run --json`,
  `quantize --merged ${folder} --dry-run`,
  `update --merged ${folder} --task mood --dry-run ${own} --base tiny`,
  `add --merged ${folder} --dry-run ${own} --base tiny --json`,
];

const servedCommands = [
  ...versionCommands("merged"),
  "predict --model merged --engine wasm --threads 1 the-film",
  "predict --model merged --engine wasm --threads 1 --json the-film",
  `RARELY eval --model merged --engine wasm --threads 1 ${own} --max-eval-samples 4`,
  `merge --out merged --task mood --dry-run ${own} --base tiny`,
  `merge --out merged --remove mood --dry-run ${own} --base tiny`,
  `RARELY report --out scratch/report --merged merged ${own}`,
  "export saved-model --model merged --out scratch/saved --dry-run",
  "export onnx --model merged --out scratch/onnx --dry-run --json",
  "submit --merged merged --out scratch/s.zip --dry-run",
];

const rowReader = (task: string, extension: string, columns: string, edit: Reader["edit"]): Reader => ({
  files: [`data/${task}/train.${extension}`, `data/${task}/dev.${extension}`],
  commands: () => rowCommands(task, columns),
  codes: [0, 2, 3],
  edit,
});

const parquetCommands = [
  "RARELY predict --model merged --file FILE --columns text=sentence --engine wasm --threads 1",
  "RARELY predict --model merged --file FILE --task mood --engine wasm --threads 1 --json",
  "data check --task cola --glue-data exported",
  "RARELY finetune --task cola --k 1 --glue-data exported --base tiny --engine wasm --threads 1 --dry-run",
  "tasks init FILE --tasks scratch/tasks.yaml",
];

const userTaskCommands = [
  "tasks list",
  "tasks list --json",
  `data check ${own}`,
  `RARELY finetune --task mood --k 1 ${training} --dry-run`,
  `RARELY distill ${training} --dry-run`,
  `select --threshold 1 ${own} --base tiny --json`,
  `RARELY eval --model merged --engine wasm --threads 1 ${own} --max-eval-samples 4`,
  "RARELY predict --model merged --file data/unseen.tsv --engine wasm --threads 1",
  `RARELY report --out scratch/report --base tiny ${own}`,
  "tasks init data/mood/train.tsv --name other --tasks tasks.yaml --dry-run",
  "RARELY run small.yaml --engine wasm --dry-run --out scratch/results",
];

const experimentCommands = [
  // The file is read, and then there is no such base.
  "search FILE --budget 1m --base nowhere --out scratch/search",
  "plan FILE --out scratch/results",
  "plan FILE --out scratch/results --json",
  "plan FILE --out scratch/results --only distill --shard 0/2",
  "RARELY run FILE --engine wasm --threads 1 --dry-run --out scratch/results",
  "RARELY run FILE --engine wasm --threads 1 --dry-run --out scratch/results --json --trial 1",
  "RARELY run FILE --dry-run",
  "jobs submit FILE --on slurm --dry-run --out scratch/results",
  "jobs submit FILE --on kubernetes --dry-run --json --out scratch/results",
];

const configCommands = [
  // The options are read, and then there is no such base.
  "finetune --config FILE --base nowhere",
  "finetune --config FILE --base nowhere --json",
  "distill --config FILE --base nowhere",
  `RARELY finetune --config FILE ${own} --dry-run`,
  `RARELY finetune --config FILE ${own} --dry-run --json`,
  `RARELY distill --config FILE ${own} --base tiny --dry-run`,
  `select --config FILE ${own}`,
  "RARELY report --config FILE --out scratch/report",
  "merge --config FILE --dry-run --out scratch/merged",
];

const bases = ["bases/micro", "bases/fast", "theirs", "cache/tiny"];
const inFolder = (folders: readonly string[], ...names: readonly string[]) =>
  folders.flatMap((folder) => names.map((name) => `${folder}/${name}`));
const folderOf = (file: string) => file.replace(/\/[^/]*$/, "");
const baseReader = (files: readonly string[], edit: Reader["edit"], codes = [0, 2, 4]): Reader => ({
  files,
  commands: (file) => [
    ...baseCommands(folderOf(file).replace(/^cache\/tiny$/, "tiny")),
    ...(file.startsWith("cache/")
      ? [...servedCommands, "cache list", "cache list --json", "pull tiny", "RARELY doctor --json"]
      : []),
  ],
  codes,
  edit,
});

export const readers: Readonly<Record<string, Reader>> = {
  TSV: rowReader("mood", "tsv", "text=text", table("tsv")),
  CSV: rowReader("verdict", "csv", "text=first,pair=second", table("csv")),
  "JSON lines": rowReader("closeness", "jsonl", "text=a,pair=b,id=id", table("jsonl", "jsonl", "json")),
  Parquet: {
    files: ["exported/cola/train-00000-of-00001.parquet", "exported/cola/validation-00000-of-00001.parquet"],
    commands: () => parquetCommands,
    codes: [0, 2, 3],
    edit: bytes,
  },
  "tasks.yaml": { files: ["tasks.yaml"], commands: () => userTaskCommands, codes: [0, 2, 3, 4], edit: yaml },
  "an experiment": { files: ["small.yaml"], commands: () => experimentCommands, codes: [0, 2, 3, 4], edit: yaml },
  "--config": {
    files: ["options.yaml", `${run}/config.yaml`],
    commands: () => configCommands,
    codes: [0, 2, 3, 4],
    edit: yaml,
  },
  safetensors: {
    ...baseReader(
      [...inFolder(["bases/micro", "theirs", "cache/tiny"], "model.safetensors"), ...blobs, `${run}/model.safetensors`],
      safetensors,
    ),
    commands: (file) =>
      file.startsWith("merged")
        ? servedCommands
        : file.startsWith("checkpoints")
          ? branchCommands
          : baseReader([], bytes).commands(file),
  },
  "pytorch_model.bin": baseReader(inFolder(["bases/zip", "bases/legacy"], "pytorch_model.bin"), zip),
  "an index of shards": baseReader(
    ["bases/sharded-safetensors/model.safetensors.index.json", "bases/sharded-bin/pytorch_model.bin.index.json"],
    json,
  ),
  "TensorFlow's index": baseReader(inFolder(["bases/tf1"], "bert_model.ckpt.index"), bytes),
  "config.json": baseReader([...inFolder(bases, "config.json"), "bases/tf1/bert_config.json"], json),
  "merged/config.json": {
    files: ["merged/config.json", "merged/tokenizer_config.json"],
    commands: () => servedCommands,
    codes: [0, 2, 4],
    edit: json,
  },
  "tokenizer.json": baseReader(inFolder(["bases/fast", "bases/micro"], "tokenizer.json"), json),
  "tokenizer_config.json and the like": baseReader(
    [
      ...inFolder(
        ["bases/fast", "bases/micro"],
        "tokenizer_config.json",
        "added_tokens.json",
        "special_tokens_map.json",
        "flexbert-source.json",
      ),
      "cache/tiny/tokenizer_config.json",
    ],
    json,
  ),
  "vocab.txt": baseReader([...inFolder(["bases/micro", "bases/zip", "cache/tiny"], "vocab.txt")], bytes),
  "a base's zip": {
    files: ["bases/micro.zip", "bases/stored.zip"],
    commands: (file) => baseCommands(file),
    codes: [0, 2, 4],
    edit: zip,
  },
  "flexbert.json": { files: ["merged/flexbert.json"], commands: () => servedCommands, codes: [0, 2, 3, 4], edit: json },
  "a folder's versions": {
    files: ["served/flexbert.json"],
    commands: () => [
      ...versionCommands("served"),
      "tag prod --merged served",
      "diff prod --merged served --json",
      "predict --model served --engine wasm --threads 1 the-film",
      `RARELY eval --model served --engine wasm --threads 1 ${own} --max-eval-samples 4`,
    ],
    codes: [0, 2, 3, 4],
    edit: json,
  },
  "run.json": {
    files: [run, student, unfinished].map((folder) => `${folder}/run.json`),
    commands: () => [...runCommands, ...branchCommands],
    codes: [0, 2, 3, 4],
    edit: json,
  },
  "metrics.jsonl": {
    files: [`${run}/metrics.jsonl`, `${student}/metrics.jsonl`],
    commands: () => runCommands,
    codes: [0, 2, 4],
    edit: table("jsonl"),
  },
  "a selection": {
    files: ["chosen/selection.json"],
    commands: () => [
      `merge --select FILE --out scratch/merged --dry-run ${own} --base tiny`,
      `RARELY merge --select FILE --out scratch/merged --no-onnx --json ${own} --base tiny --engine wasm --threads 1`,
    ],
    codes: [0, 2, 3, 4],
    edit: json,
  },
  "a table of scores": {
    files: ["scores.csv"],
    commands: () => ["select --scores FILE --threshold 1", "select --scores FILE --max-layers 20 --json"],
    codes: [0, 2, 3],
    edit: table("csv"),
  },
  "figures of latency": {
    files: ["latency.json"],
    commands: () => [
      "select --scores scores.csv --latency FILE --max-latency 40",
      `select --latency FILE --max-latency 40 --json ${own} --base tiny`,
    ],
    codes: [0, 2, 3],
    edit: json,
  },
  "an experiment's results": {
    files: [
      "results/small/steps/select.json",
      "results/small/steps/merge.json",
      "results/small/steps/report.json",
      "results/small/selection.json",
    ],
    commands: () => [
      "RARELY run small.yaml --dry-run --engine wasm",
      "plan small.yaml",
      "RARELY run small.yaml --dry-run --json --engine wasm --from select",
    ],
    codes: [0, 2, 3, 4],
    edit: json,
  },
  "a submission": {
    files: ["results/small/jobs/0001/submission.json"],
    // Without a Slurm to ask each ends with 2; with one that is not set up, with 1.
    commands: () => [
      "jobs status small.yaml",
      "jobs status small.yaml --json",
      "jobs submit small.yaml --on slurm --dry-run",
    ],
    codes: [0, 1, 2, 4],
    edit: json,
  },
  "a lock": {
    files: [`${unfinished}/.flexbert.lock`],
    commands: () => ["status", "status --json", "clean --dry-run", `report --out scratch/report --base tiny ${own}`],
    codes: [0, 1],
    edit: json,
    // One that is cut off is waited for, two seconds long.
    share: 0.05,
  },
};
