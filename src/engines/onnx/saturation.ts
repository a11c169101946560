// Whether this processor saturates products of bytes. x86 before VNNI adds two products of uint8 and int8 into 16 bits
// (vpmaddubsw): 255 x 127 x 2 is more than they hold, and the sum ends at 32767 without a word. No flag tells it as surely as
// the runtime itself, whose kernels may be others than the processor would allow.

import { ElementType, encodeModel } from "../../compile/onnx/proto";
import type { OnnxRuntime } from "./runtime";

/** Large enough that the kernels are those of a layer. */
const [ROWS, INNER, OUT] = [4, 64, 32];
const [HIGHEST, LARGEST] = [255, 127];

/** Opens the product and runs it: a session's whole life, some milliseconds. */
export async function saturates(
  runtime: OnnxRuntime,
  sessionOptions: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const session = await runtime.InferenceSession.create(productModel(), sessionOptions);
  try {
    const rows = new Uint8Array(ROWS * INNER).fill(HIGHEST);
    const { y } = await session.run({ x: new runtime.Tensor("uint8", rows, [ROWS, INNER]) });
    return isSaturated(y?.data as Int32Array);
  } finally {
    await session.release();
  }
}

/** Whether these are not the products of rows of 255 with columns of 127. */
export const isSaturated = (products: ArrayLike<number>): boolean =>
  Array.from(products).some((value) => value !== INNER * HIGHEST * LARGEST);

function productModel(): Uint8Array {
  const node = { op: "MatMulInteger", domain: "", inputs: ["x", "w"], outputs: ["y"], attributes: {} };
  const bytes = new Uint8Array(new Int8Array(INNER * OUT).fill(LARGEST).buffer);
  return encodeModel({
    producer: "flexbert",
    opsets: { "": 20 },
    graph: {
      name: "saturation",
      nodes: [node],
      initializers: [{ name: "w", type: ElementType.int8, dims: [INNER, OUT], bytes }],
      inputs: [{ name: "x", type: ElementType.uint8, dims: [ROWS, INNER] }],
      outputs: [{ name: "y", type: ElementType.int32, dims: [ROWS, OUT] }],
    },
  });
}
