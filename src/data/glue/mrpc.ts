// MRPC's three files from SentEval's text of Microsoft's paraphrase corpus, byte for byte as GLUE's official script makes
// them: dev is cut out of train by a list of id pairs, in train's order, and both keep the corpus's header with its byte
// order mark. The public test text carries gold labels, which are dropped: a test set is not for tuning.

import { dataError } from "../../errors/errors";

export interface ParaphraseCorpus {
  readonly train: string;
  readonly test: string;
  /** Pairs (#1 ID, #2 ID) of the dev rows, one a line. */
  readonly devIds: string;
}

const testHeader = "index\t#1 ID\t#2 ID\t#1 String\t#2 String";

/** Contents by file name. Throws dataError (3) for a row that is none, and for dev ids that train lacks. */
export function buildMrpc({ train, test, devIds }: ParaphraseCorpus): Readonly<Record<string, string>> {
  const missing = new Set(devPairs(devIds));
  const isDev = new Set(missing);
  const corpus = readCorpus(train, "msr_paraphrase_train.txt");
  const [trainRows, devRows]: [string[], string[]] = [[], []];
  for (const cells of corpus.rows) {
    const pair = `${cells[1]}\t${cells[2]}`;
    missing.delete(pair);
    (isDev.has(pair) ? devRows : trainRows).push(cells.join("\t"));
  }
  if (missing.size > 0) {
    const [first = ""] = missing;
    throw dataError(
      `mrpc_dev_ids.tsv names ${missing.size} pairs that msr_paraphrase_train.txt lacks, the first ${first.replace("\t", " and ")}. ` +
        "Fetch both from one place",
    );
  }
  const testRows = readCorpus(test, "msr_paraphrase_test.txt").rows.map(([, ...cells], i) => [i, ...cells].join("\t"));
  return {
    "train.tsv": lines([corpus.header, ...trainRows]),
    "dev.tsv": lines([corpus.header, ...devRows]),
    "test.tsv": lines([testHeader, ...testRows]),
  };
}

const lines = (rows: readonly string[]) => `${rows.join("\n")}\n`;

const splitLines = (text: string) => text.replace(/\n$/, "").split("\n");

/** Quality, two ids, two texts; the official script strips the white space around a row. */
function readCorpus(text: string, name: string): { header: string; rows: string[][] } {
  const [header = "", ...rest] = splitLines(text);
  const rows = rest.map((line, i) => {
    const cells = line.trim().split("\t");
    if (cells.length === 5 && /^[01]$/.test(cells[0] as string)) return cells;
    throw dataError(
      `${name}, line ${i + 2} has ${cells.length} columns, not label, two ids and two texts. Fetch it again`,
    );
  });
  return { header: header.trimEnd(), rows };
}

function devPairs(text: string): string[] {
  return splitLines(text).map((line, i) => {
    const pair = line.trim();
    if (/^\d+\t\d+$/.test(pair)) return pair;
    throw dataError(`mrpc_dev_ids.tsv, line ${i + 1} is no pair of ids: "${pair.slice(0, 40)}". Fetch it again`);
  });
}
