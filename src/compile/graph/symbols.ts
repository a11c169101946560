// Symbolic sizes: a graph that is traced with large primes for batch and length holds for every batch and length.
// Nothing is executed while tracing, and a product of primes shows what it was made of.

import { type Attribute, type Graph, type Node, type Shape, sameShape } from "./graph";

/** A size that stands for any size, and the input that carries the real one. */
export interface SymbolicSize {
  /** The prime with which it was traced. */
  readonly prime: number;
  readonly name: string;
  readonly input: string;
  readonly axis: number;
}

/** size = factor x the symbols, which may repeat. */
export function factorSize(
  size: number,
  symbols: readonly SymbolicSize[],
): { readonly factor: number; readonly symbols: readonly SymbolicSize[] } {
  const found: SymbolicSize[] = [];
  let factor = size;
  for (const symbol of symbols) {
    while (factor > 0 && factor % symbol.prime === 0) {
      factor /= symbol.prime;
      found.push(symbol);
    }
  }
  return { factor, symbols: found };
}

/** Shapes of one call's inputs, by name. */
export type InputShapes = Readonly<Record<string, Shape>>;

/** Large enough to be no batch or length of a test by chance, small enough that a materialised constant fits. */
const FIRST_SENTINEL = 1009;

/**
 * A symbol for each name among the dynamic axes of the inputs that are given. Its prime divides no static size, so that
 * a product of sizes tells what it is made of.
 * @param axes by input: the name of each axis's size, null where it is static
 * @param types everything whose sizes occur in the graph
 */
export function chooseSymbols(
  axes: Readonly<Record<string, readonly (string | null)[]>>,
  call: Readonly<Record<string, { readonly shape: Shape }>>,
  types: readonly { readonly shape: Shape }[],
): SymbolicSize[] {
  const sizes = new Set(types.flatMap(({ shape }) => [...shape]));
  const symbols = new Map<string, SymbolicSize>();
  let candidate = FIRST_SENTINEL;
  for (const [input, names] of Object.entries(axes)) {
    if (!(input in call)) continue;
    for (const [axis, name] of names.entries()) {
      if (name === null || symbols.has(name)) continue;
      while (!isPrime(candidate) || [...sizes].some((size) => size > 0 && size % candidate === 0)) candidate++;
      symbols.set(name, { prime: candidate, name, input, axis });
      candidate++;
    }
  }
  return [...symbols.values()];
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return true;
}

/** The shape with real sizes in place of symbols. */
export function substitute(shape: Shape, symbols: readonly SymbolicSize[], sizes: ReadonlyMap<string, number>): Shape {
  return shape.map((size) => {
    const { factor, symbols: found } = factorSize(size, symbols);
    return found.reduce((product, { name }) => product * (sizes.get(name) as number), factor);
  });
}

/** The sizes of the symbols in a call, or null where the call is not of these shapes. */
export function bindSymbols(
  shapes: InputShapes,
  symbols: readonly SymbolicSize[],
  call: InputShapes,
): ReadonlyMap<string, number> | null {
  const sizes = new Map(symbols.map(({ name, input, axis }) => [name, call[input]?.[axis] as number]));
  const fits = Object.entries(shapes).every(([input, shape]) => {
    const given = call[input];
    return given !== undefined && sameShape(substitute(shape, symbols, sizes), given);
  });
  return fits ? sizes : null;
}

/**
 * Why a graph traced with sentinels does not hold for other sizes, or null if it does: with the real sizes of one call
 * put in, it must be the graph that was traced with them. A function that branches on a size, or computes with one,
 * fails this.
 */
export function symbolicProblem(
  symbolic: Graph,
  concrete: Graph,
  symbols: readonly SymbolicSize[],
  sizes: ReadonlyMap<string, number>,
): string | null {
  if (symbolic.nodes.length !== concrete.nodes.length) return "the number of its nodes depends on sizes";
  const positions = [numberedValues(symbolic), numberedValues(concrete)] as const;
  for (const [i, node] of symbolic.nodes.entries()) {
    const real = concrete.nodes[i] as Node;
    const same =
      node.op === real.op &&
      node.inputs.length === real.inputs.length &&
      node.inputs.every((value, at) => positions[0].get(value.id) === positions[1].get(real.inputs[at]?.id ?? -1)) &&
      node.outputs.every((value, at) =>
        sameShape(substitute(value.shape, symbols, sizes), real.outputs[at]?.shape ?? []),
      ) &&
      Object.entries(node.attributes).every(([key, value]) =>
        sameAttribute(key, value, real.attributes[key], symbols, sizes),
      );
    if (!same) return `its node ${i + 1} (${real.op}) depends on sizes`;
  }
  const names = [...new Set([...symbolic.outputs.keys(), ...concrete.outputs.keys()])];
  const positionOf = (at: 0 | 1, name: string) =>
    positions[at].get([symbolic, concrete][at]?.outputs.get(name)?.id ?? -1);
  const other = names.find((name) => positionOf(0, name) !== positionOf(1, name));
  return other === undefined ? null : `which value its output ${other} is depends on sizes`;
}

/** Values by the order in which a graph makes them: the same in two traces of one function. */
function numberedValues(graph: Graph): Map<number, number> {
  const all = [...graph.inputs.values(), ...graph.nodes.flatMap((node) => node.outputs)];
  return new Map(all.map(({ id }, position) => [id, position]));
}

function sameAttribute(
  key: string,
  value: Attribute,
  real: Attribute | undefined,
  symbols: readonly SymbolicSize[],
  sizes: ReadonlyMap<string, number>,
): boolean {
  // Only shapes may hold sizes: a value that is filled in, or a place to begin at, would not be lowered as one.
  if (key === "shape" || key === "size") {
    return sameShape(substitute(value as Shape, symbols, sizes), real as Shape);
  }
  if (typeof value !== "object") return value === real;
  const [list, other] = [value as ArrayLike<number>, real as ArrayLike<number> | undefined];
  return list.length === other?.length && Array.from(list).every((element, i) => element === other[i]);
}
