// TensorFlow's ops as far as they are written here: the name of the output, its type, and the attributes that repeat
// the types of inputs. TensorFlow infers none of them when it reads a graph.

import type { NodeAttribute, NodeAttributes, Ref, TensorType } from "./saved-model";

interface Operation {
  readonly output: string;
  /** Attributes that hold the type of the input at this place; -1 is the last one. */
  readonly types: Readonly<Record<string, number>>;
  /** The place of the input whose type the result has, a type, or the attribute that says it. */
  readonly result: number | TensorType | { readonly attribute: string };
}

const like = (output: string, types: Operation["types"] = { T: 0 }, result: Operation["result"] = 0): Operation => ({
  output,
  types,
  result,
});

const group = (names: readonly string[], operation: Operation): Record<string, Operation> =>
  Object.fromEntries(names.map((name) => [name, operation]));

const operations: Readonly<Record<string, Operation>> = {
  ...group(["Abs", "Erf", "Exp", "Log", "Neg", "Reciprocal", "Rsqrt", "Sigmoid", "Sign", "Sqrt", "Square"], like("y")),
  Tanh: like("y"),
  Transpose: like("y", { T: 0, Tperm: 1 }),
  ...group(["AddV2", "Maximum", "Minimum", "Mul", "Pow", "RealDiv", "SquaredDifference", "Sub"], like("z")),
  ...group(["Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual"], like("z", { T: 0 }, "bool")),
  ...group(["LogicalAnd", "LogicalOr"], like("z", {}, "bool")),
  ...group(["Max", "Mean", "Min", "Sum"], like("output", { T: 0, Tidx: 1 })),
  AddN: like("sum"),
  AssignVariableOp: like("", { dtype: 1 }),
  BatchMatMulV2: like("output"),
  BiasAdd: like("output"),
  BroadcastTo: like("output", { T: 0, Tidx: 1 }),
  Cast: like("y", { SrcT: 0 }, { attribute: "DstT" }),
  ConcatV2: like("output", { T: 0, Tidx: -1 }),
  Const: like("output", {}, { attribute: "dtype" }),
  Fill: like("output", { index_type: 0, T: 1 }, 1),
  GatherV2: like("output", { Tparams: 0, Tindices: 1, Taxis: 2 }),
  Identity: like("output"),
  IsFinite: like("y", { T: 0 }, "bool"),
  L2Loss: like("output"),
  LogSoftmax: like("logsoftmax"),
  LogicalNot: like("y", {}, "bool"),
  MatMul: like("product"),
  OneHot: like("output", { TI: 0, T: 2 }, 2),
  Pack: like("output"),
  PadV2: like("output", { T: 0, Tpaddings: 1 }),
  Placeholder: like("output", {}, { attribute: "dtype" }),
  ReadVariableOp: like("value", {}, { attribute: "dtype" }),
  Relu: like("activations"),
  Reshape: like("output", { T: 0, Tshape: 1 }),
  SelectV2: like("output", { T: 1 }, 1),
  Shape: like("output", { T: 0 }, "int32"),
  Slice: like("output", { T: 0, Index: 1 }),
  Softmax: like("softmax"),
  StatefulPartitionedCall: like("output", {}, "float32"),
  StridedSlice: like("output", { T: 0, Index: 1 }),
  Tile: like("output", { T: 0, Tmultiples: 1 }),
  UnsortedSegmentSum: like("output", { T: 0, Tindices: 1, Tnumsegments: 2 }),
  VarHandleOp: like("resource", {}, "resource"),
};

/** Everything about a node that follows from its op and its inputs. */
export function completed(
  op: string,
  inputs: readonly Ref[],
  attributes: NodeAttributes,
): { readonly attributes: NodeAttributes; readonly output: string; readonly type: TensorType } {
  const operation = operations[op];
  if (!operation) throw new Error(`TensorFlow's op ${op} is not among those that are written`);
  const types = Object.entries(operation.types).map(([name, place]): [string, NodeAttribute] => {
    const input = inputs.at(place);
    if (!input) throw new Error(`${op} has ${inputs.length} inputs, too few for its attribute ${name}`);
    return [name, { type: input.type }];
  });
  const all: NodeAttributes = { ...Object.fromEntries(types), ...attributes };
  return { attributes: all, output: operation.output, type: resultType(op, operation.result, inputs, all) };
}

function resultType(op: string, result: Operation["result"], inputs: readonly Ref[], all: NodeAttributes): TensorType {
  if (typeof result === "string") return result;
  if (typeof result === "number") return inputs[result]?.type ?? "float32";
  const named = all[result.attribute];
  if (!named || !("type" in named)) throw new Error(`${op} lacks its attribute ${result.attribute}`);
  return named.type;
}
