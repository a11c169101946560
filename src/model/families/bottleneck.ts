// The bottlenecks that a layer may have beside its own parts (adapters/houlsby.ts, adapters/pfeiffer.ts): computed where their tensors are
// among the layer's, and nothing where they are not.

import type { Activation } from "../hidden-act";
import type { Operations } from "./family";
import { bottleneckNames } from "./small-names";

const holds = <X>(ops: Operations<X>, name: string): boolean => ops.holds(`${bottleneckNames(name).down}.weight`);

function bottleneck<X>(ops: Operations<X>, x: X, name: string, activation: Activation): X {
  const { down, up } = bottleneckNames(name);
  return ops.dense(ops.activate(ops.dense(x, down), activation), up);
}

/** Houlsby's, on what leaves a part of the layer: x + up(gelu(down x)). */
export const behindPart = <X>(ops: Operations<X>, x: X, name: string): X =>
  holds(ops, name) ? ops.add(x, bottleneck(ops, x, name, "gelu_new")) : x;

/** Pfeiffer's, on the layer's last sum: norm(up(relu(down norm(sum))) + sum), else norm(sum). */
export function aroundNorm<X>(ops: Operations<X>, sum: X, name: string, norm: (x: X) => X): X {
  const normed = norm(sum);
  return holds(ops, name) ? norm(ops.add(bottleneck(ops, normed, name, "relu"), sum)) : normed;
}
