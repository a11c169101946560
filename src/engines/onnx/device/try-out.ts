// A device's first work: a product of two small matrices. What opens and does not compute, or computes something else, is
// told before hours of work.

import { ElementType, encodeModel } from "../../../compile/onnx/proto";
import { float32 } from "../../../model/tensors";
import { quietly } from "./quietly";
import { type DeviceSettings, openDeviceSession } from "./session";

const SIZE = 16;
const TOLERANCE = 1e-3;

/** Throws Error where the product is wrong, and as sessions do. */
export async function tryOut(settings: DeviceSettings): Promise<void> {
  const dims = [SIZE, SIZE];
  const value = (name: string) => ({ name, type: ElementType.float32, dims });
  const model = encodeModel({
    producer: "flexbert",
    opsets: { "": 20 },
    graph: {
      name: "try",
      nodes: [{ op: "MatMul", domain: "", inputs: ["a", "b"], outputs: ["product"], attributes: {} }],
      initializers: [],
      inputs: [value("a"), value("b")],
      outputs: [value("product")],
    },
  });
  const open = () => openDeviceSession(settings, model);
  const session = settings.verbose ? open() : quietly(open);
  try {
    const a = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % 7) - 3);
    const b = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % 5) - 2);
    session.bindHost("a", float32(dims, a));
    session.bindHost("b", float32(dims, b));
    const { fetched } = await session.run([], ["product"]);
    const { data = new Float32Array() } = fetched.get("product") ?? {};
    for (let i = 0; i < SIZE * SIZE; i++) {
      const [row, column] = [Math.floor(i / SIZE), i % SIZE];
      let wanted = 0;
      for (let k = 0; k < SIZE; k++) wanted += (a[row * SIZE + k] as number) * (b[k * SIZE + column] as number);
      if (!(Math.abs((data[i] as number) - wanted) <= TOLERANCE)) {
        throw new Error(`it computes a product wrong: ${data[i]}, and ${wanted} is right`);
      }
    }
  } finally {
    session.unbind();
    session.dispose();
  }
}
