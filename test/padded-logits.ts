// A padded batch, as models of other runtimes take one, through a model of ours, which takes rows.

import { float32, type HostTensors, sizeOf } from "../src/model/tensors";
import type { ServedModel } from "../src/predict/model";

/** Logits [batch, outputs] by task. @param inputs [batch, length]; masks are ones, then zeros */
export async function paddedLogits(
  model: Pick<ServedModel, "run">,
  inputs: HostTensors,
  tasks: readonly string[],
): Promise<HostTensors> {
  const { input_ids, token_type_ids, attention_mask } = inputs as unknown as Record<
    string,
    { shape: number[]; data: Int32Array }
  >;
  const [batch = 0, length = 0] = input_ids?.shape ?? [];
  const rowsOf = (data?: Int32Array) =>
    Array.from({ length: batch }, (_, row) => {
      const tokens = attention_mask?.data.subarray(row * length, (row + 1) * length).reduce((sum, one) => sum + one, 0);
      return (data as Int32Array).slice(row * length, row * length + (tokens as number));
    });
  const ids = rowsOf(input_ids?.data);
  const lengths = Int32Array.from(ids, (row) => row.length);
  const rows = { ids, typeIds: rowsOf(token_type_ids?.data), lengths, padId: 0 };
  const logits: HostTensors = {};
  for await (const part of model.run(rows, Array(batch).fill(tasks))) {
    const width = part.logits.shape[1] as number;
    logits[part.task] ??= float32([batch, width], new Float32Array(sizeOf([batch, width])));
    for (const [i, row] of part.rows.entries()) {
      logits[part.task]?.data.set(part.logits.data.subarray(i * width, (i + 1) * width), row * width);
    }
  }
  return logits;
}
