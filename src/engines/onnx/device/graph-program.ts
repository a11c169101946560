// A graph that was lowered before, on a device: its weights go there once, when it is opened.

import type { HostTensor } from "../../../model/tensors";
import type { GraphProgram } from "../../engine";
import { bindLeft, isLeft, leftTensor, releaseLeft } from "./left";
import { type DeviceSettings, openDeviceSession } from "./session";

export function openDeviceGraph(
  settings: DeviceSettings,
  turns: <T>(run: () => Promise<T>) => Promise<T>,
  file: string | Uint8Array,
): GraphProgram {
  const { library } = settings;
  const session = openDeviceSession(settings, file, "all");
  return {
    inputs: session.inputs,
    run: (inputs, leave = false) =>
      turns(async () => {
        for (const name of session.inputs) {
          const tensor = inputs[name] as HostTensor;
          if (isLeft(tensor)) bindLeft(session, name, tensor);
          else session.bindHost(name, tensor);
        }
        const results = await session.run(leave ? session.outputs : [], leave ? [] : session.outputs);
        for (const name of session.inputs) if (isLeft(inputs[name] as HostTensor)) session.drop(name);
        const left = [...results.kept].map(
          ([name, value]) => [name, leftTensor(session.shapeOf(value), value)] as const,
        );
        return Object.fromEntries([...left, ...results.fetched]);
      }),
    release(outputs) {
      for (const tensor of Object.values(outputs)) releaseLeft(library, tensor);
    },
    dispose() {
      session.unbind();
      session.dispose();
    },
  };
}
