// Brings values of a device back to the host: the C API copies between the two where a session's inputs and outputs lie in
// different places, so a session that passes its inputs through reads them.

import type { ValueType } from "../../../compile/graph/graph";
import { ElementType, encodeModel } from "../../../compile/onnx/proto";
import type { HostTensor } from "../../../model/tensors";
import { type DeviceSettings, type DeviceValue, openDeviceSession } from "./session";

/** The values by name, in memory of the host. */
export async function readState(
  settings: DeviceSettings,
  values: ReadonlyMap<string, DeviceValue>,
  types: ReadonlyMap<string, ValueType>,
): Promise<Map<string, HostTensor>> {
  const read = new Map<string, HostTensor>();
  if (values.size === 0) return read;
  const names = [...values.keys()];
  const declared = (side: string) =>
    names.map((name) => {
      const { dtype, shape } = types.get(name) as ValueType;
      return { name: `${side}${name}`, type: ElementType[dtype], dims: [...shape] };
    });
  const model = encodeModel({
    producer: "flexbert",
    opsets: { "": 20 },
    graph: {
      name: "read",
      nodes: names.map((name) => ({
        op: "Identity",
        domain: "",
        inputs: [IN + name],
        outputs: [OUT + name],
        attributes: {},
      })),
      initializers: [],
      inputs: declared(IN),
      outputs: declared(OUT),
    },
  });
  const session = openDeviceSession(settings, model);
  try {
    for (const [name, value] of values) session.bind(IN + name, value);
    const { fetched } = await session.run(
      [],
      names.map((name) => OUT + name),
    );
    for (const name of names) read.set(name, fetched.get(OUT + name) as HostTensor);
  } finally {
    session.unbind();
    session.dispose();
  }
  return read;
}

const [IN, OUT] = ["in/", "out/"] as const;
