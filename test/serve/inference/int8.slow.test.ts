// A quantized folder in inference processes: int8 by default, float32 where it is asked for, each bit for bit what predict gives.

import { expect } from "@jest/globals";
import { tokenRows } from "../../../src/batches/rows";
import { openEngine } from "../../../src/engines/open";
import { sampleTexts } from "../../../src/export/check/check-rows";
import { openModel } from "../../../src/predict/model";
import { quantiseFolder } from "../../../src/quantise/quantise-folder";
import type { BatchRow } from "../../../src/serve/inference/inference";
import { startInference } from "../../../src/serve/inference/start";
import { engineAbsence } from "../../engines/engines";
import { unless } from "../../skips";
import { quietContext, temporaryFolder } from "../../tiny";
import { base, hearing, makeServedFolder, taskOf } from "../served-folder";

const folder = temporaryFolder();
const tasks = ["sst2", "stsb", "rte"];
const rows: BatchRow[] = Array.from({ length: 4 }, (_, row) => ({
  ids: Int32Array.from({ length: 9 }, (_, i) => 1 + ((7 * i + 3 * row) % (base.config.vocabSize - 1))),
  typeIds: new Int32Array(9),
  tasks,
}));

unless(engineAbsence("onnx")).test("int8 and float32 are served as predict computes them", async () => {
  const { merged } = await makeServedFolder(folder);
  const { engine } = await openEngine("onnx", { threads: 1 });
  await quantiseFolder({
    ...{
      ...quietContext(engine).context,
      maxDrop: 100,
      glueData: folder,
      maxRows: undefined,
      folder: merged,
      note: null,
    },
    ...{ skipBroken: false, maxBroken: 0 },
    rowsOf: async ({ inputs }) => ({ source: "sample texts", definition: null, some: sampleTexts(inputs) }),
  });
  const found: Record<string, unknown> = {};
  for (const weights of [undefined, "float32"] as const) {
    const { reporter } = hearing();
    const inference = await startInference({
      folder: merged,
      weights,
      workers: 1,
      threads: 1,
      reporter,
      silence: 3600,
    });
    const model = await openModel(merged, engine, { taskOf, weights });
    try {
      expect(inference.described(inference.first)?.weights).toBe(weights ?? "int8");
      const served: Record<string, number[]> = {};
      await inference.run(inference.first, rows, ({ task, logits }) => {
        served[task] = Array.from(logits);
      });
      const predicted: Record<string, number[]> = {};
      const encodings = rows.map(({ ids, typeIds }) => ({ ids, typeIds, truncated: 0 }));
      for await (const { task, logits } of model.run(
        tokenRows(encodings, 0),
        rows.map(() => tasks),
      )) {
        predicted[task] = Array.from(logits.data);
      }
      expect(Object.keys(served).sort()).toEqual([...tasks].sort());
      expect(served).toEqual(predicted);
      found[weights ?? "int8"] = served;
    } finally {
      model.dispose();
      await inference.shutdown();
    }
  }
  expect(found["int8"]).not.toEqual(found["float32"]);
});
