// A graph that was lowered before, on a device: its weights go there once, when it is opened.

import type { HostTensor, HostTensors } from "../../../model/tensors";
import type { GraphProgram } from "../../engine";
import { bindLeft, isLeft, leftTensor, releaseLeft } from "./left";
import { type DeviceSettings, openDeviceSession } from "./session";
import type { Turns } from "./turns";

export function openDeviceGraph(settings: DeviceSettings, turns: Turns, file: string | Uint8Array): GraphProgram {
  const { library } = settings;
  const session = openDeviceSession(settings, file, "all");
  const left = new Set<HostTensor>();
  let disposed = false;
  const release = (tensor: HostTensor): void => {
    releaseLeft(library, tensor);
    left.delete(tensor);
  };
  const run = async (inputs: HostTensors, leave: boolean): Promise<HostTensors> => {
    const given = session.inputs.map((name) => {
      const tensor = inputs[name];
      // What the call before had bound would be computed with again.
      if (!tensor) throw new Error(`a call lacks ${name}`);
      return [name, tensor] as const;
    });
    try {
      for (const [name, tensor] of given) {
        if (isLeft(tensor)) bindLeft(session, name, tensor);
        else session.bindHost(name, tensor);
      }
      const { kept, fetched } = await session.run(leave ? session.outputs : [], leave ? [] : session.outputs);
      const outputs = new Map(fetched);
      for (const [name, value] of kept) {
        const tensor = leftTensor(session.typeOf(value), value);
        left.add(tensor);
        outputs.set(name, tensor);
      }
      return Object.fromEntries(outputs);
    } finally {
      // Another program's values: they must not be held here when its session ends.
      for (const [name, tensor] of given) if (isLeft(tensor)) session.drop(name);
    }
  };
  return {
    inputs: session.inputs,
    async run(inputs, leave = false) {
      if (disposed) throw new Error("the graph was run, and it is disposed");
      return turns(() => run(inputs, leave));
    },
    release: (outputs) => Object.values(outputs).forEach(release),
    dispose() {
      if (disposed) return;
      disposed = true;
      const end = () => {
        session.unbind();
        left.forEach(release);
        session.dispose();
      };
      turns.brief(end); // after the runs that were begun
    },
  };
}
