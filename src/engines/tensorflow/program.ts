// A program of the tensorflow engine: entry points are lowered to signatures of one SavedModel when they are first
// called, and its session keeps the state in variables. A loaded graph cannot grow: with another entry point comes
// another session, into which the state is carried over.

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
  type ValueTypes,
} from "../../compile/entry";
import { optimise } from "../../compile/passes/passes";
import type { ProductType } from "../../compile/tensorflow/emitter";
import { joinGelus } from "../../compile/tensorflow/passes";
import { type Compiled, type LoweredModel, type Step, toSavedModel } from "../../compile/tensorflow/tensorflow";
import type { DynamicAxes, EntryPoint } from "../../model/entry-point";
import type { HostTensor, HostTensors } from "../../model/tensors";
import { copied } from "../../model/tensors";
import type { Program } from "../engine";
import { openTensorflowSession, type SessionBinding, type TensorflowSession } from "./session";

export interface TensorflowSettings {
  readonly products: ProductType;
  /** What XLA compiles of an entry point. */
  compiles(step: { readonly updates: boolean }): Compiled;
}

interface CompiledEntry {
  readonly traced: TracedEntry;
  readonly step: Step;
}

interface Loaded {
  readonly model: LoweredModel;
  readonly session: TensorflowSession;
}

export function loadTensorflowProgram<E extends string>(
  binding: SessionBinding,
  settings: TensorflowSettings,
  initial: HostTensors,
  entries: Readonly<Record<E, EntryPoint>>,
  axes: Readonly<Partial<Record<E, DynamicAxes>>> | undefined,
): Program<E> {
  const types: ValueTypes = Object.fromEntries(
    Object.entries(initial).map(([name, { shape, dtype }]) => [name, { shape: [...shape], dtype }]),
  );
  /** The state while no session holds it. */
  let waiting: HostTensors | null = { ...initial };
  let loaded: Loaded | null = null;
  let disposed = false;
  const compiled: { entry: E; made: CompiledEntry }[] = [];
  const spent = { graphs: 0, seconds: 0 };

  /** Brings the state to the host, where a session holds it, and ends that session. */
  const unload = (): HostTensors => {
    if (!loaded) return waiting as HostTensors;
    const state = readState(loaded, types);
    loaded.session.close();
    loaded = null;
    waiting = state;
    return state;
  };

  const compile = (entry: E, inputs: HostTensors): CompiledEntry => {
    const started = performance.now();
    const traced = traceEntry(entries[entry], types, inputs, axes?.[entry] ?? {});
    const step = stepOf(`${entry}_${compiled.length}`, traced, settings);
    const made = { traced, step };
    const model = toSavedModel(types, [...compiled.map((known) => known.made.step), step], settings.products);
    const session = openTensorflowSession(binding, model.file);
    const state = unload();
    writeState({ model, session }, state);
    loaded = { model, session };
    waiting = null;
    compiled.push({ entry, made });
    spent.graphs += 1;
    spent.seconds += (performance.now() - started) / 1000;
    return made;
  };

  return {
    async run(entry, inputs) {
      if (disposed) throw new Error(`${entry} was run on a program that is disposed`);
      const known = compiled.find((one) => one.entry === entry && fits(one.made.traced, inputs));
      const { traced, step } = known?.made ?? compile(entry, inputs);
      const { model, session } = loaded as unknown as Loaded;
      const signature = model.steps.get(step.name);
      const results = outputTypes(traced, fetchedOutputs(traced), inputs);
      if (!signature || !results) throw new Error(`${entry} was compiled for other inputs`);
      return unprefixed(Object.entries(session.run(signature, prefixed(inputs, inputPrefix), results)), outputPrefix);
    },
    async state() {
      if (loaded) return readState(loaded, types);
      const held = Object.entries(waiting ?? {});
      return Object.fromEntries(held.map(([name, tensor]) => [name, copied(tensor)]));
    },
    compiled: () => ({ ...spent }),
    dispose() {
      disposed = true;
      loaded?.session.close();
      loaded = null;
      waiting = null;
    },
  };
}

const fetchedOutputs = ({ graph }: TracedEntry) =>
  new Map([...graph.outputs].filter(([name]) => name.startsWith(outputPrefix)));

function stepOf(name: string, traced: TracedEntry, settings: TensorflowSettings): Step {
  const graph = joinGelus(optimise(traced.graph));
  const named = (names: Iterable<string>, prefix: string) =>
    new Map([...names].filter((full) => full.startsWith(prefix)).map((full) => [full, full.slice(prefix.length)]));
  const writes = named(graph.outputs.keys(), nextPrefix);
  return {
    name,
    graph,
    symbols: traced.symbols.map((symbol) => ({ ...symbol, input: inputPrefix + symbol.input })),
    reads: named(graph.inputs.keys(), statePrefix),
    writes,
    compile: settings.compiles({ updates: writes.size > 0 }),
  };
}

function writeState({ model, session }: Loaded, state: HostTensors): void {
  for (const signature of model.setters) session.run(signature, state, new Map());
}

function readState({ model, session }: Loaded, types: ValueTypes): HostTensors {
  const state: Record<string, HostTensor> = {};
  for (const signature of model.getters) {
    const wanted = Object.keys(signature.outputs).map((name) => [name, types[name] as ValueTypes[string]] as const);
    Object.assign(state, session.run(signature, {}, new Map(wanted)));
  }
  return state;
}
