// A graph that was lowered before, on a device: its weights go there once, when it is opened.

import type { HostTensor } from "../../../model/tensors";
import type { GraphProgram } from "../../engine";
import { type DeviceSettings, openDeviceSession } from "./session";

export function openDeviceGraph(
  settings: DeviceSettings,
  turns: <T>(run: () => Promise<T>) => Promise<T>,
  file: string | Uint8Array,
): GraphProgram {
  const session = openDeviceSession(settings, file, "all");
  return {
    inputs: session.inputs,
    run: (inputs) =>
      turns(async () => {
        for (const name of session.inputs) session.bindHost(name, inputs[name] as HostTensor);
        const { fetched } = await session.run([], session.outputs);
        return Object.fromEntries(fetched);
      }),
    dispose() {
      session.unbind();
      session.dispose();
    },
  };
}
