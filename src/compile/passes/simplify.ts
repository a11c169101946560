// Simplification: what tfjs's gradients leave behind. Tensors of ones become broadcasts, reshapes and casts that
// change nothing vanish, arithmetic on constants is done now, and chains of scalar factors become one.

import { broadcastShape, type Graph, type Node, only, type Shape, sameShape, type Value } from "../graph/graph";
import { type Builder, type Rewrite, rewrite } from "./rewrite";

/** The graph with every simplification applied, and common subexpressions and dead nodes removed. */
export function simplify(graph: Graph): Graph {
  // The second round sees what the first one uncovered: a factor of one that was a quotient of constants, say.
  return rewrite(rewrite(graph, simplifyNode), simplifyNode);
}

const simplifyNode: Rewrite = (node, inputs, builder) => {
  const simplified = (rules[node.op] ?? null)?.(node, inputs, builder) ?? foldFills(node, inputs, builder);
  return simplified ? [simplified] : null;
};

type Rule = (node: Node, inputs: readonly Value[], builder: Builder) => Value | null;

/** The number that fills a value, if one does. */
export function fillOf(value: Value, builder: Pick<Builder, "producer">): number | null {
  const node = builder.producer(value);
  return node?.op === "Fill" ? (node.attributes["value"] as number) : null;
}

const first = (values: readonly Value[]) => values[0] as Value;

function fill(shape: Shape, dtype: Value["dtype"], value: number, builder: Builder): Value {
  const attributes = { shape: [...shape], value: dtype === "float32" ? Math.fround(value) : value };
  return first(builder.emit("Fill", [], attributes, [{ shape, dtype }]));
}

export function reshape(x: Value, shape: Shape, builder: Builder): Value {
  if (sameShape(x.shape, shape)) return x;
  const node = builder.producer(x);
  if (node?.op === "Reshape") return reshape(first(node.inputs), shape, builder);
  if (node?.op === "Fill") return fill(shape, x.dtype, node.attributes["value"] as number, builder);
  return first(builder.emit("Reshape", [x], { shape: [...shape] }, [{ shape, dtype: x.dtype }]));
}

function broadcastTo(x: Value, shape: Shape, builder: Builder): Value {
  if (sameShape(x.shape, shape)) return x;
  return first(builder.emit("BroadcastTo", [x], { shape: [...shape] }, [{ shape, dtype: x.dtype }]));
}

/** Elementwise operands that are filled or broadcast go in as small as the result's shape allows. */
function shrinkOperands(node: Node, [a, b]: readonly Value[], builder: Builder): [Value, Value] {
  const shape = only(node).shape;
  const shrunk = (x: Value, other: Value): Value => {
    const made = builder.producer(x);
    if (made?.op === "Fill" && sameShape(other.shape, shape) && x.shape.length > 0) {
      return fill([], x.dtype, made.attributes["value"] as number, builder);
    }
    const small = made?.op === "BroadcastTo" ? first(made.inputs) : x;
    const fits = broadcastShape(small.shape, other.shape);
    return fits && sameShape(fits, shape) ? small : x;
  };
  const left = shrunk(a as Value, b as Value);
  return [left, shrunk(b as Value, left)];
}

const elementwise =
  (special: (a: Value, b: Value, node: Node, builder: Builder) => Value | null): Rule =>
  (node, inputs, builder) => {
    const [a, b] = shrinkOperands(node, inputs, builder);
    const folded = foldFills(node, [a, b], builder) ?? special(a, b, node, builder);
    if (folded) return folded;
    return first(builder.emit(node.op, [a, b], node.attributes, node.outputs));
  };

const multiply = elementwise((a, b, node, builder) => {
  const { shape } = only(node);
  for (const [x, factor] of [
    [a, fillOf(b, builder)],
    [b, fillOf(a, builder)],
  ] as const) {
    if (factor === null) continue;
    const filler = x === a ? b : a;
    const fits = broadcastShape(x.shape, shape);
    if (factor === 1 && fits && sameShape(fits, shape)) return broadcastTo(x, shape, builder);
    const merged = mergedFactor(x, factor, builder);
    if (merged && filler.shape.length === 0) {
      const scalar = fill([], x.dtype, merged.factor, builder);
      return first(builder.emit("Multiply", [merged.x, scalar], {}, node.outputs));
    }
  }
  return null;
});

/** x = y * c times another factor is y times one factor. */
function mergedFactor(x: Value, factor: number, builder: Builder): { x: Value; factor: number } | null {
  const made = builder.producer(x);
  if (made?.op !== "Multiply" || x.dtype !== "float32") return null;
  const [y, scalar] = made.inputs as [Value, Value];
  const inner = scalar.shape.length === 0 ? fillOf(scalar, builder) : null;
  if (inner === null || !sameShape(y.shape, x.shape)) return null;
  const product = Math.fround(inner * factor);
  return isNormal(product) ? { x: y, factor: product } : null;
}

/** Whether a product of scalar factors neither overflows nor vanishes, which what it multiplies might have undone. */
export function isNormal(factor: number): boolean {
  return Number.isFinite(factor) && Math.abs(factor) >= SMALLEST_NORMAL;
}

const SMALLEST_NORMAL = 2 ** -126; // of float32

const neutral = (element: number, sides: "both" | "right"): Rule =>
  elementwise((a, b, node, builder) => {
    const { shape } = only(node);
    if (fillOf(b, builder) === element && sameShape(a.shape, shape)) return a;
    if (sides === "both" && fillOf(a, builder) === element && sameShape(b.shape, shape)) return b;
    return null;
  });

const rules: Readonly<Record<string, Rule>> = {
  Multiply: multiply,
  // x + 0 is x except for the sign of zero, which no later op tells apart.
  Add: neutral(0, "both"),
  Sub: neutral(0, "right"),
  RealDiv: neutral(1, "right"),
  Maximum: elementwise(() => null),
  Minimum: elementwise(() => null),
  Reshape: (node, inputs, builder) => reshape(first(inputs), only(node).shape, builder),
  Cast: (node, inputs, builder) => {
    const x = first(inputs);
    const { dtype, shape } = only(node);
    if (x.dtype === dtype) return x;
    const made = builder.producer(x);
    if (made?.op !== "OneHot") return null;
    return first(builder.emit("OneHot", made.inputs, made.attributes, [{ shape, dtype }]));
  },
  Transpose: (node, inputs, builder) => {
    const x = first(inputs);
    const order = node.attributes["perm"] as readonly number[];
    const made = builder.producer(x);
    if (made?.op !== "Transpose") return order.every((from, i) => from === i) ? x : null;
    const perm = order.map((from) => (made.attributes["perm"] as readonly number[])[from] as number);
    if (perm.every((from, i) => from === i)) return first(made.inputs);
    return first(builder.emit("Transpose", made.inputs, { perm }, node.outputs));
  },
};

const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Multiply: (a, b) => a * b,
  RealDiv: (a, b) => a / b,
  Maximum: Math.max,
  Minimum: Math.min,
  Neg: (a) => -a,
  Sqrt: (a) => Math.sqrt(a),
  Square: (a) => a * a,
  Cast: (a) => a,
};

/** An elementwise op whose inputs are all fills is a fill. */
function foldFills(node: Node, inputs: readonly Value[], builder: Builder): Value | null {
  const compute = arithmetic[node.op];
  if (!compute || inputs.length === 0) return null;
  const operands = inputs.map((value) => fillOf(value, builder));
  if (operands.some((operand) => operand === null)) return null;
  const { shape, dtype } = only(node);
  if (dtype === "int32" && (node.op === "Cast" || node.op === "RealDiv")) return null; // rounding is the engine's
  const value = compute(operands[0] as number, (operands[1] ?? 0) as number);
  return fill(shape, dtype, dtype === "bool" ? Number(value !== 0) : value, builder);
}
