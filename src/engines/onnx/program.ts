// A program of the onnx engine: entry points compiled when they are first called, one graph for all sizes of their
// dynamic axes, and the state between calls.

import {
  fits,
  inputPrefix,
  nextPrefix,
  outputPrefix,
  outputTypes,
  prefixed,
  statePrefix,
  type TracedEntry,
  traceEntry,
  unprefixed,
} from "../../compile/entry";
import type { ValueType } from "../../compile/graph/graph";
import { toOnnx } from "../../compile/onnx/onnx";
import { optimise } from "../../compile/passes/passes";
import { splitGraph } from "../../compile/passes/split";
import type { DynamicAxes, EntryPoint } from "../../model/entry-point";
import { copied, float32, type HostTensor, type HostTensors, sizeOf } from "../../model/tensors";
import type { Program } from "../engine";
import { type HostUpdate, hostOps, openHostUpdate } from "./host-update";
import { emptyTensor, type OnnxRuntime, type OrtSession, type OrtTensor, toOrt } from "./runtime";

interface CompiledEntry {
  readonly traced: TracedEntry;
  readonly device: TracedEntry["graph"];
  readonly host: TracedEntry["graph"];
  readonly session: OrtSession;
  /** Weights that are part of the model: names of state that need not be fed. */
  readonly constants: ReadonlySet<string>;
  readonly update: HostUpdate | null;
}

/** A compiled entry at the sizes of a call. */
interface Call extends CompiledEntry {
  readonly inputNames: readonly string[];
  /** State that is fed. */
  readonly stateNames: readonly string[];
  readonly outputs: readonly (readonly [name: string, type: ValueType])[];
}

/** Sizes of calls remembered at a time: a server sees many. */
const MOST_CALLS = 1000;

/** A protobuf message ends at 2 GiB; larger weights are fed at every call. */
const MOST_CONSTANT_BYTES = 1.9e9;

export function loadOnnxProgram<E extends string>(
  runtime: OnnxRuntime,
  sessionOptions: Readonly<Record<string, unknown>>,
  initial: HostTensors,
  entries: Readonly<Record<E, EntryPoint>>,
  axes: Readonly<Partial<Record<E, DynamicAxes>>> | undefined,
): Program<E> {
  const state = new Map(Object.entries(initial));
  const fed = new Map<string, OrtTensor>();
  const compiled = new Map<E, CompiledEntry[]>();
  const calls = new Map<string, Call>();
  const spent = { graphs: 0, seconds: 0 };
  let changes = false; // once any entry changes the state, none of it is a constant
  let disposed = false;

  /** Brings the state to where an update works on it. Each compiled entry has its own place, and its calls may alternate. */
  const place = ({ tensors }: HostUpdate): void => {
    for (const [prefixedName, view] of tensors) {
      if (!prefixedName.startsWith(statePrefix)) continue;
      const name = prefixedName.slice(statePrefix.length);
      const current = state.get(name) as HostTensor;
      if (current.data === view) continue;
      view.set(current.data);
      state.set(name, float32(current.shape, view));
      fed.delete(name);
    }
  };
  const feed = (name: string): OrtTensor => {
    const known = fed.get(name) ?? toOrt(runtime, state.get(name) as HostTensor);
    fed.set(name, known);
    return known;
  };

  const compile = async (entry: E, inputs: HostTensors): Promise<CompiledEntry> => {
    const started = performance.now();
    const traced = traceEntry(entries[entry], Object.fromEntries(state), inputs, axes?.[entry] ?? {});
    if (!changes && [...traced.graph.outputs.keys()].some((name) => name.startsWith(nextPrefix))) {
      changes = true;
      await releaseAll();
    }
    const { device, host } = splitGraph(optimise(traced.graph), hostOps);
    const constants = changes ? {} : constantsOf(state);
    const model = toOnnx(device, {
      constants: prefixed(constants, statePrefix),
      symbols: traced.symbols.map((symbol) => ({ ...symbol, input: inputPrefix + symbol.input })),
    });
    const session = await runtime.InferenceSession.create(model, sessionOptions);
    const update = host.nodes.length > 0 ? openHostUpdate(host) : null;
    spent.graphs += 1;
    spent.seconds += (performance.now() - started) / 1000;
    return { traced, device, host, session, constants: new Set(Object.keys(constants)), update };
  };

  const find = async (entry: E, inputs: HostTensors): Promise<CompiledEntry> => {
    const known = compiled.get(entry) ?? [];
    const fitting = known.find(({ traced }) => fits(traced, inputs));
    if (fitting) return fitting;
    const made = await compile(entry, inputs);
    compiled.set(entry, [...(compiled.get(entry) ?? []), made]);
    return made;
  };

  /** What a call runs, found once for all calls of its sizes: of a short text's 5 ms, finding it takes 0.1. */
  const prepare = async (entry: E, inputs: HostTensors): Promise<Call> => {
    const key = `${entry} ${Object.entries(inputs).map(([name, { dtype, shape }]) => `${name}:${dtype}:${shape}`)}`;
    const known = calls.get(key);
    if (known) return known;
    const found = await find(entry, inputs);
    const { traced, device, constants } = found;
    const call = {
      ...found,
      inputNames: Object.keys(unprefixed(device.inputs, inputPrefix)),
      stateNames: Object.keys(unprefixed(device.inputs, statePrefix)).filter((name) => !constants.has(name)),
      outputs: [...(outputTypes(traced, device.outputs, inputs) ?? [])],
    };
    if (calls.size === MOST_CALLS) calls.clear();
    calls.set(key, call);
    return call;
  };

  const releaseAll = async () => {
    const all = [...compiled.values()].flat();
    compiled.clear();
    calls.clear();
    for (const { session } of all) await session.release();
  };

  return {
    async run(entry, inputs) {
      if (disposed) throw new Error(`${entry} was run on a program that is disposed`);
      const { host, session, update, inputNames, stateNames, outputs } = await prepare(entry, inputs);
      if (update) place(update);
      const feeds: Record<string, OrtTensor> = {};
      for (const name of inputNames) feeds[inputPrefix + name] = toOrt(runtime, inputs[name] as HostTensor);
      for (const name of stateNames) feeds[statePrefix + name] = feed(name);
      const results = new Map<string, HostTensor>();
      const fetches: Record<string, OrtTensor> = {};
      for (const [name, type] of outputs) {
        const view = update?.tensors.get(name);
        const tensor = view ? float32(type.shape, view) : emptyTensor(type);
        results.set(name, tensor);
        fetches[name] = toOrt(runtime, tensor);
      }
      await session.run(feeds, fetches);
      for (const [name, value] of runUpdate(host, update, inputs, results)) results.set(name, value);
      for (const [name, tensor] of Object.entries(unprefixed(results, nextPrefix))) {
        state.set(name, tensor);
        fed.delete(name);
      }
      return unprefixed(results, outputPrefix);
    },
    async state() {
      return Object.fromEntries([...state].map(([name, tensor]) => [name, copied(tensor)]));
    },
    compiled: () => ({ ...spent }),
    dispose() {
      disposed = true;
      void releaseAll();
      state.clear();
      fed.clear();
    },
  };
}

/** Runs the host's part; its tensors are updated in place, its scalars are returned. */
function runUpdate(
  host: TracedEntry["graph"],
  update: HostUpdate | null,
  inputs: HostTensors,
  results: ReadonlyMap<string, HostTensor>,
): [string, HostTensor][] {
  if (!update) return [];
  const scalars = new Map<string, number>();
  for (const [name, { shape }] of host.inputs) {
    if (shape.length > 0) continue;
    const tensor = name.startsWith(inputPrefix) ? inputs[name.slice(inputPrefix.length)] : results.get(name);
    scalars.set(name, tensor?.data[0] as number);
  }
  return [...update.run(scalars)].map(([name, value]) => [name, float32([], Float32Array.of(value))]);
}

function constantsOf(state: ReadonlyMap<string, HostTensor>): HostTensors {
  let bytes = 0;
  for (const { shape } of state.values()) bytes += 4 * sizeOf(shape);
  return bytes > MOST_CONSTANT_BYTES ? {} : Object.fromEntries(state);
}
