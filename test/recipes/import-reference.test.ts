// An imported branch gives the logits that PyTorch computed with the folder it came from, each under its own label: the row
// of field-cases about outputs without names (TextAttack#684, transformers#10386).

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { openBase } from "../../src/checkpoints/bases/base";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { openEngine } from "../../src/engines/open";
import { float32, type HostTensor } from "../../src/model/tensors";
import { openModel } from "../../src/predict/model";
import { importBranch } from "../../src/recipes/import";
import type { Task } from "../../src/tasks/task";
import { parseUserTasks } from "../../src/tasks/user-tasks";
import { paddedLogits } from "../padded-logits";
import { describeEachTinyBert, loadTinyBert } from "../reference";
import { quietContext, temporaryFolder, tinyRun } from "../tiny";

const outputs = ["contradiction", "entailment", "neutral"];

describeEachTinyBert("a fine-tuned folder", (folder) => {
  const cwd = temporaryFolder();

  function task(labels: readonly string[]): Task {
    const rows = labels.map((label, i) => `a b c ${i},${label}`).join("\n");
    for (const split of ["train", "dev"]) writeFileSync(path.join(cwd, `${split}.csv`), `text,label\n${rows}\n`);
    const files = "files: { train: train.csv, dev: dev.csv }\n    columns: { text: text, label: label }";
    const text = `tasks:\n  - name: nli\n    ${files}\n    labels: [${labels.join(", ")}]\n`;
    return parseUserTasks(text, path.join(cwd, "tasks.yaml"))[0] as Task;
  }

  /** The folder before its topmost layer was trained, as it were. */
  async function base() {
    const place = path.join(cwd, "base");
    mkdirSync(place, { recursive: true });
    const theirs = await openBase(folder);
    const top = `bert.encoder.layer.${theirs.config.numHiddenLayers - 1}.output.dense.bias`;
    const { shape, data } = theirs.tensors[top] as HostTensor;
    const before = float32(
      shape,
      Float32Array.from(data, (value) => value + 1),
    );
    await writeBase({ ...theirs, tensors: { ...theirs.tensors, [top]: before } }, place);
    return openBase(place);
  }

  test.each([
    [["contradiction", "entailment", "neutral"]],
    [["entailment", "neutral", "contradiction"]],
    [["neutral", "contradiction", "entailment"]],
  ])("with the task's labels %j", async (labels) => {
    const { expected } = await loadTinyBert(folder);
    const own = task(labels);
    const trunk = await base();
    const { engine } = await openEngine("wasm", {});
    const { context } = quietContext(engine);
    const run = { ...tinyRun(cwd), checkpoints: path.join(cwd, labels.join("-")) };
    const request = { task: own, base: trunk, folder, labels: outputs, maxLength: 32, run };
    const imported = await importBranch(request, context);
    expect(imported.record.layers).toBe(1);
    const model = await openModel(imported.folder, engine, { taskOf: () => own, base: trunk.folder });
    const rows = expected.input_ids.length;
    const length = expected.input_ids[0]?.length ?? 0;
    const input = (values: number[][]): HostTensor => ({
      dtype: "int32",
      shape: [rows, length],
      data: Int32Array.from(values.flat()),
    });
    const { nli } = await paddedLogits(
      model,
      {
        input_ids: input(expected.input_ids),
        token_type_ids: input(expected.token_type_ids),
        attention_mask: input(expected.attention_mask),
      },
      ["nli"],
    );
    const logits = expected.logits.flatMap((row) => labels.map((label) => row[outputs.indexOf(label)] as number));
    for (const [i, logit] of logits.entries()) expect(nli?.data[i]).toBeCloseTo(logit, 4);
    model.dispose();
  });
});
