// Where GLUE's files are published, with the bytes and sha256 that Hugging Face's and TensorFlow's data set loaders
// both recorded for them. The official script cannot build MRPC (it lacks the address of the dev ids) and has QQP's and
// STS-B's addresses swapped; these addresses are those of the files themselves.

import path from "node:path";
import { formatBytes } from "../../files/atomic";
import type { GlueName } from "../../tasks/glue";
import type { Task } from "../../tasks/task";

export const glueHost = "https://dl.fbaipublicfiles.com";

/** One published file. */
export interface SourceFile {
  /** On the host. A mirror has it there, or all files beside each other under their last names. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** How a task's files come about. */
export type GlueSource =
  /** A zip with one folder, the task's. */
  | { readonly form: "zip"; readonly zip: SourceFile }
  /** Microsoft's paraphrase corpus in SentEval's form, cut into train and dev by a list of ids. */
  | { readonly form: "senteval"; readonly train: SourceFile; readonly test: SourceFile; readonly devIds: SourceFile }
  /** The file itself. */
  | { readonly form: "table"; readonly table: SourceFile };

const file = (name: string, bytes: number, sha256: string): SourceFile => ({ path: name, bytes, sha256 });
const zip = (name: string, bytes: number, sha256: string): GlueSource => ({
  form: "zip",
  zip: file(`glue/data/${name}.zip`, bytes, sha256),
});

export const glueSources: Readonly<Record<GlueName, GlueSource>> = {
  cola: zip("CoLA", 376_971, "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff"),
  sst2: zip("SST-2", 7_439_277, "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa"),
  mrpc: {
    form: "senteval",
    train: file(
      "senteval/senteval_data/msr_paraphrase_train.txt",
      1_047_044,
      "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89",
    ),
    test: file(
      "senteval/senteval_data/msr_paraphrase_test.txt",
      441_275,
      "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784",
    ),
    devIds: file(
      "glue/data/mrpc_dev_ids.tsv",
      6_222,
      "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7",
    ),
  },
  stsb: zip("STS-B", 802_872, "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85"),
  qqp: zip("QQP-clean", 41_696_084, "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0"),
  mnli: zip("MNLI", 312_783_507, "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633"),
  qnli: zip("QNLIv2", 10_627_589, "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5"),
  rte: zip("RTE", 697_150, "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee"),
  wnli: zip("WNLI", 28_999, "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46"),
  ax: {
    form: "table",
    table: file("glue/data/AX.tsv", 222_257, "0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd"),
  },
};

/** The source of a task, or undefined for one that is not GLUE's. */
export const sourceOf = (task: Task): GlueSource | undefined =>
  Object.hasOwn(glueSources, task.name) ? glueSources[task.name as GlueName] : undefined;

/** All files that a source needs. */
export function filesOf(source: GlueSource): readonly SourceFile[] {
  if (source.form === "zip") return [source.zip];
  return source.form === "table" ? [source.table] : [source.train, source.test, source.devIds];
}

export const nameOf = ({ path: published }: SourceFile): string => path.posix.basename(published);

/**
 * What to put where by hand when the host is out of reach: the files to fetch elsewhere, and the files that belong
 * under `glueData` in the end.
 */
export function byHand(tasks: readonly (readonly [Task, GlueSource])[], glueData: string): string[] {
  const names = tasks.map(([{ name }]) => name).join(",");
  const fetched = tasks.flatMap(([, source]) =>
    filesOf(source).map(({ path: published, bytes, sha256 }) => {
      return `  ${glueHost}/${published}  ${formatBytes(bytes)}  sha256 ${sha256}`;
    }),
  );
  const placed = tasks.flatMap(([task]) =>
    Object.values(task.splits).map(({ file: name, rows }) => {
      return `  ${path.join(glueData, task.folder, name)}${rows === undefined ? "" : `  ${rows} rows`}`;
    }),
  );
  return [
    "Where the network is closed, fetch these files on another machine:",
    ...fetched,
    `put them in one folder, and run: flexbert data download --task ${names} --mirror FOLDER`,
    "Or put the finished files there yourself:",
    ...placed,
  ];
}
