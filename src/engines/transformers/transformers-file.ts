// A folder as transformers leaves one, run by transformers itself in the user's Python: what flexbert exports for it is
// checked where it will be used. One process serves all folders of an export, because importing PyTorch takes seconds.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { engineError, oneLine } from "../../errors/errors";
import { float32, type HostTensor } from "../../model/tensors";
import type { ModelFile, OpenModelFile } from "../model-file";

/** A line asks, a line answers. Whatever else is printed goes to stderr; weights that do not fit are an error. */
const SCRIPT = `
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
def answer(value):
    answers.write(json.dumps(value) + "\\n")
    answers.flush()
try:
    import torch, transformers
    answer({"version": transformers.__version__})
except Exception as error:
    answer({"error": f"{type(error).__name__}: {error}"})
    sys.exit(0)
for line in sys.stdin:
    asked = json.loads(line)
    try:
        if "open" in asked:
            named = transformers.AutoConfig.from_pretrained(asked["open"]).architectures or [""]
            auto = "AutoModelForTokenClassification" if named[0].endswith("ForTokenClassification") else "AutoModelForSequenceClassification"
            model, loaded = getattr(transformers, auto).from_pretrained(asked["open"], output_loading_info=True)
            wrong = {key: sorted(str(name) for name in names) for key, names in loaded.items() if names}
            if wrong:
                raise ValueError(f"weights do not fit: {wrong}")
            model.eval()
            answer({})
        else:
            with torch.no_grad():
                logits = model(**{name: torch.tensor(value) for name, value in asked["run"].items()}).logits
            answer({"logits": logits.double().tolist()})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
`;

interface Answer {
  readonly version?: string;
  readonly error?: string;
  /** [rows, outputs], or [rows, length, outputs]. */
  readonly logits?: readonly (readonly (number | readonly number[])[])[];
}

export interface TransformersRuntime {
  /** Opens a folder; models give one output, `logits`. */
  readonly open: OpenModelFile;
  /** transformers' version. */
  readonly version: string;
  close(): void;
}

/**
 * Starts the program with transformers and PyTorch loaded.
 * Throws engineError (6) where there is no such program, or it lacks one of them.
 */
export async function startTransformers(python: string): Promise<TransformersRuntime> {
  const env = { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error", PYTHONIOENCODING: "utf-8" };
  const child = spawn(python, ["-c", SCRIPT], { stdio: ["pipe", "pipe", "pipe"], env });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  child.stdin.on("error", () => undefined); // it ended: the answer that does not come says so
  const ended = new Promise<Error>((resolve) => {
    child.on("error", resolve);
    child.on("close", (code, signal) => resolve(new Error(said.trim() || `it ended with ${signal ?? code}`)));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Answer> => {
    const line = await Promise.race([lines.next(), ended]);
    if (line instanceof Error) throw line;
    if (line.done) throw await ended;
    const answer = JSON.parse(line.value) as Answer;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  };
  const ask = (question: object): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(question)}\n`);
    return next();
  };
  try {
    const { version = "" } = await next();
    return { open: (folder) => openFolder(folder, ask), version, close: () => child.kill() };
  } catch (error) {
    child.kill();
    throw engineError(
      `${python} does not load transformers and PyTorch (${oneLine(error)}). Install them, or name another Python with --python`,
      error,
    );
  }
}

async function openFolder(folder: string, ask: (question: object) => Promise<Answer>): Promise<ModelFile> {
  await ask({ open: folder });
  return {
    /** Each text by itself and without padding: MobileBERT's embeddings in transformers read the padding behind a text. */
    async run(inputs) {
      const named = Object.entries(inputs).map(([name, tensor]) => [name, rowsOf(tensor)] as const);
      const masks = Object.fromEntries(named)["attention_mask"] ?? [];
      const logits: (readonly (number | readonly number[])[])[] = [];
      for (const [row, mask] of masks.entries()) {
        const length = mask.reduce((sum, one) => sum + one, 0);
        const run = Object.fromEntries(named.map(([name, rows]) => [name, [rows[row]?.slice(0, length)]]));
        logits.push(...((await ask({ run })).logits ?? []));
      }
      return { logits: stacked(logits) };
    },
    close: async () => undefined,
  };
}

/** [rows, outputs], or of tokens [rows, longest, outputs], zero behind the shorter texts. */
function stacked(rows: readonly (readonly (number | readonly number[])[])[]): HostTensor {
  const ofTokens = rows.some((row) => Array.isArray(row[0]));
  const width = ofTokens ? ((rows[0]?.[0] as readonly number[] | undefined)?.length ?? 0) : 1;
  const longest = Math.max(0, ...rows.map(({ length }) => length));
  const data = new Float32Array(rows.length * longest * width);
  for (const [i, row] of rows.entries()) data.set(row.flat() as number[], i * longest * width);
  return float32([rows.length, longest, ...(ofTokens ? [width] : [])], data);
}

/** [rows, columns] as arrays. */
function rowsOf({ shape, data }: HostTensor): number[][] {
  const [rows = 0, columns = 0] = shape;
  return Array.from({ length: rows }, (_, row) => [...data.subarray(row * columns, (row + 1) * columns)]);
}
