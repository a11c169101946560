// Outputs that stay on the device for another program's next call. A caller has a tensor of them, whose data it cannot read.

import type { ValueType } from "../../../compile/graph/graph";
import type { HostTensor } from "../../../model/tensors";
import type { OrtLibrary } from "./c-api";
import type { DeviceSession, DeviceValue } from "./session";

interface Place {
  value: DeviceValue | null;
}

const places = new WeakMap<HostTensor, Place>();

/** What a caller has of a value. */
export function leftTensor({ dtype, shape }: ValueType, value: DeviceValue): HostTensor {
  const tensor = {
    dtype,
    shape,
    get data(): never {
      throw new Error("an output that was left on the device is read by the host");
    },
  } as HostTensor;
  places.set(tensor, { value });
  return tensor;
}

export const isLeft = (tensor: HostTensor): boolean => places.has(tensor);

/** Binds an input to what was left. Throws where it was let go of. */
export function bindLeft(session: DeviceSession, name: string, tensor: HostTensor): void {
  const value = places.get(tensor)?.value ?? null;
  if (value === null) throw new Error(`${name} is an output that was let go of`);
  session.bind(name, value);
}

/** Lets go of it: now, or, where a run under way is bound to it, after that. */
export function releaseLeft(library: OrtLibrary, tensor: HostTensor): void {
  const place = places.get(tensor);
  if (!place || place.value === null) return;
  library.release("ReleaseValue", place.value);
  place.value = null;
}
