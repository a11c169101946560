// Lowering graphs to one TensorFlow SavedModel: state lies in resource variables, each graph is a signature that reads
// and updates them, and further signatures set and read them. A session that loads the file shares them among all.

import { type Elements, type Graph, type Node, only, useCounts, type Value, type ValueType } from "../graph/graph";
import { factorSize, type SymbolicSize } from "../graph/symbols";
import { callAttributes, createEmitter, type Emitter, type ProductType } from "./emitter";
import { callLoop, callUpdate, loops } from "./loops";
import { lowerings } from "./ops";
import {
  encodeSavedModel,
  type GraphFunction,
  type GraphNode,
  type Ref,
  type Signature,
  type SignatureTensor,
} from "./saved-model";
import {
  doneAfter,
  getter,
  grouped,
  handle,
  placeholder,
  reader,
  restorer,
  setter,
  tensorInfo,
  type VariableNodes,
  writer,
} from "./variables";

/** What XLA compiles, once for each set of sizes: nothing, kernels that are loops, or the graph as one piece. */
export type Compiled = "nothing" | "loops" | "everything";

export interface Step {
  readonly name: string;
  readonly graph: Graph;
  readonly symbols: readonly SymbolicSize[];
  /** Variables by the name of the input that stands for them; every other input is fed. */
  readonly reads: ReadonlyMap<string, string>;
  /** Variables by the name of the output that becomes their value; every other output is fetched. */
  readonly writes: ReadonlyMap<string, string>;
  readonly compile: Compiled;
}

export interface LoweredModel {
  /** The file saved_model.pb. */
  readonly file: Uint8Array;
  /** By step. */
  readonly steps: ReadonlyMap<string, Signature>;
  /** Signatures that set variables from inputs of their names and give a scalar, `done`. */
  readonly setters: readonly Signature[];
  /** Signatures that give variables under their names. */
  readonly getters: readonly Signature[];
}

/** A model for a session of our own: its state is set and read through signatures, and no file holds it. */
export function toSavedModel(
  variables: Readonly<Record<string, ValueType>>,
  steps: readonly Step[],
  products: ProductType = "float32",
): LoweredModel {
  const { around, functions, lowered } = lowerSteps(variables, steps, products);
  const { nodes } = around;
  const groups = grouped(variables);
  const setters = groups.map((group, i) => setter(`set${i}_`, group, around));
  const getters = groups.map((group, i) => getter(`get${i}_`, group, around));
  const named = (kind: string, list: readonly Signature[]) => list.map((entry, i) => [`${kind}_${i}`, entry] as const);
  const signatures = Object.fromEntries([...lowered, ...named("set", setters), ...named("get", getters)]);
  return { file: encodeSavedModel({ nodes, functions, signatures }), steps: lowered, setters, getters };
}

/**
 * A model for others: a loader restores the variables from the checkpoint beside the file, under their names.
 * @param signatures by name, the outputs that each gives; only what they need of the step is run
 * @returns the file saved_model.pb
 */
export function toStoredModel(
  variables: Readonly<Record<string, ValueType>>,
  step: Step,
  signatures: Readonly<Record<string, readonly string[]>>,
): Uint8Array {
  const { around, functions, lowered } = lowerSteps(variables, [step], "float32");
  const { inputs, outputs } = lowered.get(step.name) as Signature;
  const chosen = Object.entries(signatures).map(([name, names]) => {
    const given = Object.fromEntries(names.map((output) => [output, outputs[output] as SignatureTensor]));
    return [name, { inputs, outputs: given }] as const;
  });
  const restore = restorer("restore_", around);
  return encodeSavedModel({ nodes: around.nodes, functions, signatures: Object.fromEntries(chosen), restore });
}

function lowerSteps(variables: Readonly<Record<string, ValueType>>, steps: readonly Step[], products: ProductType) {
  const nodes: GraphNode[] = [];
  const functions: GraphFunction[] = [];
  const handles = new Map(Object.entries(variables).map(([name, type], i) => [name, handle(i, type, nodes)]));
  const around: VariableNodes = { variables, handles, nodes };
  const lowered = new Map<string, Signature>();
  for (const [i, step] of steps.entries()) {
    lowered.set(step.name, lowerStep(step, { ...around, prefix: `s${i}_`, functions, products }));
  }
  return { around, functions, lowered };
}

interface Surroundings extends VariableNodes {
  readonly prefix: string;
  readonly functions: GraphFunction[];
  readonly products: ProductType;
}

function lowerStep(step: Step, around: Surroundings): Signature {
  const { prefix, nodes } = around;
  const fed = [...step.graph.inputs].filter(([name]) => !step.reads.has(name));
  const placeholders = new Map(
    fed.map(([name, value], i) => [
      name,
      placeholder(`${prefix}in${i}`, value.dtype, describeValue(value, step.symbols), nodes),
    ]),
  );
  const results =
    step.compile === "everything" ? compiledBody(step, around, placeholders) : plainBody(step, around, placeholders);
  return {
    inputs: described(fed, placeholders, step.symbols),
    outputs: { ...described(fetched(step), results.outputs, step.symbols), done: tensorInfo(results.done, []) },
  };
}

const fetched = ({ graph, writes }: Step) => [...graph.outputs].filter(([name]) => !writes.has(name));

function described(
  values: readonly (readonly [string, Value])[],
  refs: ReadonlyMap<string, Ref>,
  symbols: readonly SymbolicSize[],
): Record<string, SignatureTensor> {
  const entries = values.map(([name, value]) => [
    name,
    tensorInfo(refs.get(name) as Ref, describeValue(value, symbols)),
  ]);
  return Object.fromEntries(entries);
}

export const describeValue = ({ shape }: ValueType, symbols: readonly SymbolicSize[]): number[] =>
  shape.map((size) => (factorSize(size, symbols).symbols.length > 0 ? -1 : size));

interface Results {
  readonly outputs: ReadonlyMap<string, Ref>;
  /** Made after the variables are written. */
  readonly done: Ref;
}

/** The step's nodes among the others; TensorFlow's own optimizer rewrites them when the session first runs them. */
function plainBody(step: Step, around: Surroundings, inputs: ReadonlyMap<string, Ref>): Results {
  const { prefix, nodes, handles } = around;
  const body = lowerBody(step, { ...around, inputs, handles });
  const outputs = fetched(step).map(([name], i) => {
    const result: GraphNode = {
      name: `${prefix}out${i}`,
      op: "Identity",
      inputs: [body.outputs.get(name) as Ref],
      after: body.written,
      attributes: { T: { type: (body.outputs.get(name) as Ref).type } },
    };
    nodes.push(result);
    return [name, { node: result.name, output: "output", index: 0, type: (result.inputs[0] as Ref).type }] as const;
  });
  return { outputs: new Map(outputs), done: doneAfter(`${prefix}done`, body.written, nodes) };
}

/** The step as a function that must be compiled, and a call of it. XLA updates the variables in place. */
function compiledBody(step: Step, around: Surroundings, inputs: ReadonlyMap<string, Ref>): Results {
  const { prefix, nodes, functions, handles } = around;
  const argument = (name: string, { type }: Ref): Ref => ({ node: name, output: null, index: 0, type });
  const fed = [...inputs].map(([name, ref], i) => ({ name, ref, inside: argument(`in${i}`, ref) }));
  const touched = [...new Set([...step.reads.values(), ...step.writes.values()])];
  const held = touched.map((name, i) => {
    const ref = handles.get(name) as Ref;
    return { name, ref, inside: argument(`variable${i}`, ref) };
  });
  const own: GraphNode[] = [];
  const body = lowerBody(step, {
    ...around,
    nodes: own,
    inputs: new Map(fed.map(({ name, inside }) => [name, inside])),
    handles: new Map(held.map(({ name, inside }) => [name, inside])),
  });
  const results = fetched(step).map(([name], i) => ({ name: `out${i}`, value: body.outputs.get(name) as Ref }));
  const all = [...fed, ...held];
  const called = `${prefix}function`;
  functions.push({
    name: called,
    nodes: own,
    inputs: all.map(({ inside }) => ({ name: inside.node, type: inside.type })),
    outputs: results,
  });
  const call = `${prefix}call`;
  nodes.push({
    name: call,
    op: "StatefulPartitionedCall",
    inputs: all.map(({ ref }) => ref),
    attributes: callAttributes(
      called,
      all.map(({ ref }) => ref),
      results.map(({ value }) => value.type),
    ),
  });
  const outputs = fetched(step).map(([name], index) => {
    const { type } = body.outputs.get(name) as Ref;
    return [name, { node: call, output: "output", index, type }] as const;
  });
  return { outputs: new Map(outputs), done: doneAfter(`${prefix}done`, [call], nodes) };
}

interface Body {
  readonly outputs: ReadonlyMap<string, Ref>;
  /** Names of the nodes that write variables. */
  readonly written: readonly string[];
}

/** Reads of variables, the graph's nodes, and after all reads the writes. */
export function lowerBody(step: Step, around: Surroundings & { readonly inputs: ReadonlyMap<string, Ref> }): Body {
  const { prefix, nodes, functions, handles, inputs, products } = around;
  const { graph, symbols, reads, writes } = step;
  const used = useCounts(graph);
  const readers: string[] = [];
  const refs = new Map<Value, Ref>();
  for (const [name, value] of graph.inputs) {
    const variable = reads.get(name);
    if (variable === undefined) refs.set(value, inputs.get(name) as Ref);
    else if (used.has(value.id)) refs.set(value, reader(`${prefix}read${refs.size}`, variable, value, handles, nodes));
    if (variable !== undefined && refs.has(value)) readers.push((refs.get(value) as Ref).node);
  }
  const carriers = new Map(symbols.map(({ name, input }) => [name, inputs.get(input) as Ref]));
  const emitter = createEmitter(nodes, { prefix, inputs: refs, symbols, carriers, used, products });
  const ready = `${prefix}ready`;
  if (writes.size > 0) nodes.push({ name: ready, op: "NoOp", inputs: [], after: readers, attributes: {} });
  const updates = inPlaceUpdates(step, used);
  const compiled = step.compile === "loops" ? loops(graph) : new Set<Node>();
  const updated = new Set([...updates.values()].flat());
  const written: string[] = [];
  for (const node of graph.nodes) {
    const variables = updates.get(node);
    if (variables) {
      const held = variables.map((variable) => handles.get(variable) as Ref);
      written.push(callUpdate(node, held, emitter, functions, ready));
    } else if (compiled.has(node)) callLoop(node, emitter, functions);
    else if (node.op === "Constant") lowerConstant(only(node), node.attributes["elements"] as Elements, emitter);
    else {
      const lowering = lowerings[node.op];
      if (!lowering) throw new Error(`${node.op} has no lowering to TensorFlow`);
      lowering(node, emitter);
    }
  }
  const fetches = fetched(step).map(([name, value]) => [name, emitter.ref(value)] as const);
  for (const [output, variable] of writes) {
    if (updated.has(variable)) continue;
    const name = `${prefix}write${written.length}`;
    nodes.push(writer(name, handles.get(variable) as Ref, emitter.ref(graph.outputs.get(output) as Value), [ready]));
    written.push(name);
  }
  return { outputs: new Map(fetches), written };
}

/** Updates of three variables by one node that nothing else reads, by node. */
function inPlaceUpdates(
  { graph, reads, writes, compile }: Step,
  used: ReadonlyMap<number, number>,
): Map<Node, string[]> {
  const found = new Map<Node, string[]>();
  if (compile !== "loops") return found;
  const read = new Map([...reads].map(([input, variable]) => [graph.inputs.get(input)?.id, variable]));
  const written = new Map([...writes].map(([output, variable]) => [graph.outputs.get(output)?.id, variable]));
  for (const node of graph.nodes) {
    if (node.op !== "AdamW") continue;
    const variables = node.outputs.flatMap(({ id }) => written.get(id) ?? []);
    const same = variables.length === 3 && variables.every((name, i) => name === read.get(node.inputs[i]?.id));
    if (same && node.outputs.every(({ id }) => used.get(id) === 1)) found.set(node, variables);
  }
  return found;
}

function lowerConstant(value: Value, elements: Elements, emitter: Emitter): void {
  emitter.node("Identity", [emitter.constant(elements, value.shape, value.dtype)], {}, value);
}
