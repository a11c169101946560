// From an entry point and the types of one call to a graph that holds for every size of its dynamic axes.

import type { DynamicAxes, EntryPoint, Tensors } from "../model/entry-point";
import type { Graph, Shape, ValueType } from "./graph/graph";
import { bindSymbols, chooseSymbols, type SymbolicSize, substitute, symbolicProblem } from "./graph/symbols";
import { trace } from "./graph/trace";

/** Prefixes of the names in a compiled graph: its inputs and its outputs must not share one. */
export const statePrefix = "state/";
export const inputPrefix = "input/";
export const nextPrefix = "next/";
export const outputPrefix = "output/";

export type ValueTypes = Readonly<Record<string, ValueType>>;

export interface TracedEntry {
  readonly graph: Graph;
  /** Types of the call's inputs, with sentinel primes for symbols. */
  readonly inputs: ValueTypes;
  readonly symbols: readonly SymbolicSize[];
}

/** Every entry of `all` whose name begins with `prefix`, under the rest of its name. */
export function unprefixed<T>(all: Iterable<readonly [string, T]>, prefix: string): Record<string, T> {
  const chosen = [...all].filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(chosen.map(([name, value]) => [name.slice(prefix.length), value]));
}

export function prefixed<T>(all: Readonly<Record<string, T>>, prefix: string): Record<string, T> {
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [prefix + name, value]));
}

/**
 * Traces an entry point. Sizes of dynamic axes become symbols; a graph that depends on one is an error that names the
 * node: the sizes of this call, put in, must give the graph that is traced with them.
 */
export function traceEntry(entry: EntryPoint, state: ValueTypes, call: ValueTypes, axes: DynamicAxes): TracedEntry {
  const symbols = chooseSymbols(axes, call, [...Object.values(state), ...Object.values(call)]);
  const exact = () => traceGraph(entry, state, call);
  if (symbols.length === 0) return { graph: exact(), inputs: call, symbols };
  const primes = new Map(symbols.map(({ name, prime }) => [name, prime]));
  const inputs = Object.fromEntries(
    Object.entries(call).map(([name, { shape, dtype }]) => {
      const named = shape.map((size, axis) => primes.get(axes[name]?.[axis] ?? "") ?? size);
      return [name, { dtype, shape: named }];
    }),
  );
  const graph = traceGraph(entry, state, inputs);
  const sizes = bindSymbols(shapesOf(inputs), symbols, shapesOf(call));
  const problem = sizes ? symbolicProblem(graph, exact(), symbols, sizes) : "its inputs disagree about a size";
  if (problem !== null) {
    throw new Error(`a function with dynamic axes ${symbols.map(({ name }) => name)} does not compile: ${problem}`);
  }
  return { graph, inputs, symbols };
}

function traceGraph(entry: EntryPoint, state: ValueTypes, inputs: ValueTypes): Graph {
  const compute = (tensors: Tensors): Tensors => {
    const all = Object.entries(tensors);
    const result = entry(unprefixed(all, statePrefix), unprefixed(all, inputPrefix));
    return { ...prefixed(result.state ?? {}, nextPrefix), ...prefixed(result.outputs, outputPrefix) };
  };
  return trace(compute, { ...prefixed(state, statePrefix), ...prefixed(inputs, inputPrefix) });
}

export const shapesOf = (types: ValueTypes): Record<string, Shape> =>
  Object.fromEntries(Object.entries(types).map(([name, { shape }]) => [name, shape]));

/** Types of a graph's outputs in a call, by name; null where the call is not of the traced types. */
export function outputTypes(
  { inputs, symbols }: TracedEntry,
  outputs: Graph["outputs"],
  call: ValueTypes,
): Map<string, ValueType> | null {
  const sizes = bindSymbols(shapesOf(inputs), symbols, shapesOf(call));
  if (!sizes) return null;
  const types = [...outputs].map(
    ([name, { shape, dtype }]) => [name, { dtype, shape: substitute(shape, symbols, sizes) }] as const,
  );
  return new Map(types);
}

/** Whether a compiled entry holds for a call: the same inputs, ranks, dtypes and static sizes. */
export function fits(traced: TracedEntry, inputs: ValueTypes): boolean {
  const names = Object.keys(traced.inputs);
  if (names.length !== Object.keys(inputs).length) return false;
  if (!names.every((name) => inputs[name]?.dtype === traced.inputs[name]?.dtype)) return false;
  return outputTypes(traced, new Map(), inputs) !== null;
}
