// Graphs of int8 weights cut to 7 bits, for processors on which products of 8 are wrong: where they lie in a packed model.

import type { Stretch } from "../../model/stretches";

/** Their weights are within them. */
export const SEVEN_BITS = "seven-bits";
export const stretchName = ({ from, to }: Pick<Stretch, "from" | "to">): string => `layers-${from}-${to}.onnx`;
