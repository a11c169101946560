// A program on a device: entry points compiled when they are first called, and the state kept on the device from its first
// use on. A call brings its inputs there and its outputs back; new state replaces the old without leaving.

import {
  fits,
  inputPrefix,
  nextPrefix,
  outputPrefix,
  outputTypes,
  statePrefix,
  type TracedEntry,
  traceEntry,
  unprefixed,
} from "../../../compile/entry";
import type { Value, ValueType } from "../../../compile/graph/graph";
import { toOnnx } from "../../../compile/onnx/onnx";
import { groupUpdates } from "../../../compile/passes/group-updates";
import { optimise } from "../../../compile/passes/passes";
import type { DynamicAxes, EntryPoint } from "../../../model/entry-point";
import { copied, type HostTensor, type HostTensors } from "../../../model/tensors";
import type { Program } from "../../engine";
import { readState } from "./read-state";
import { type DeviceSession, type DeviceSettings, type DeviceValue, openDeviceSession } from "./session";

/** Where a tensor of the state is: the host's until a step has changed it. */
type Place = { readonly host: HostTensor } | { readonly value: DeviceValue; readonly type: Omit<HostTensor, "data"> };

interface CompiledEntry {
  readonly traced: TracedEntry;
  readonly session: DeviceSession;
  /** Inputs that it takes as bits. */
  readonly bits: ReadonlyMap<string, number>;
  /** What each input of state is bound to. */
  readonly bound: Map<string, Place>;
  /** Outputs of the last call that were left on the device. */
  left: readonly { value: DeviceValue | null }[];
}

/** Outputs that were left on the device, by what the caller has of them. */
const onDevice = new WeakMap<HostTensor, { value: DeviceValue | null }>();

/** `turns` makes the runs of an engine's programs one after the other. */
export function loadDeviceProgram<E extends string>(
  settings: DeviceSettings,
  turns: <T>(run: () => Promise<T>) => Promise<T>,
  initial: HostTensors,
  entries: Readonly<Record<E, EntryPoint>>,
  axes: Readonly<Partial<Record<E, DynamicAxes>>> | undefined,
): Program<E> {
  const { library } = settings;
  const types = initial;
  const state = new Map<string, Place>(Object.entries(initial).map(([name, host]) => [name, { host }]));
  const compiled = new Map<E, CompiledEntry[]>();
  const spent = { graphs: 0, seconds: 0 };
  let disposed = false;

  const compile = (entry: E, inputs: HostTensors): CompiledEntry => {
    const started = performance.now();
    const traced = traceEntry(entries[entry], types, inputs, axes?.[entry] ?? {});
    const bits = bitsOf(inputs);
    const model = toOnnx(groupUpdates(optimise(traced.graph)), {
      symbols: traced.symbols.map((symbol) => ({ ...symbol, input: inputPrefix + symbol.input })),
      bits,
      products: settings.products,
      webgpu: settings.provider.name === "webgpu",
    });
    const learns = [...traced.graph.outputs.keys()].some((name) => name.startsWith(nextPrefix));
    const session = openDeviceSession(settings, model, learns || settings.provider.name === "webgpu" ? "basic" : "all");
    spent.graphs += 1;
    spent.seconds += (performance.now() - started) / 1000;
    return { traced, session, bits, bound: new Map(), left: [] };
  };

  const find = (entry: E, inputs: HostTensors): CompiledEntry => {
    const known = compiled.get(entry) ?? [];
    const fitting = known.find(({ traced }) => fits(traced, inputs));
    if (fitting) return fitting;
    const made = compile(entry, inputs);
    compiled.set(entry, [...known, made]);
    return made;
  };

  const replace = (name: string, value: DeviceValue): void => {
    const old = state.get(name) as Place;
    if ("value" in old) library.release("ReleaseValue", old.value); // sessions that it is bound to have their own hold
    const { dtype, shape } = types[name] as HostTensor;
    state.set(name, { value, type: { dtype, shape } });
  };

  const leave = (entry: CompiledEntry, name: string, value: DeviceValue, inputs: HostTensors): HostTensor => {
    const { graph } = entry.traced;
    const type = outputTypes(entry.traced, new Map([[name, graph.outputs.get(name) as Value]]), inputs)?.get(name);
    const place: { value: DeviceValue | null } = { value };
    entry.left = [...entry.left, place];
    return leftTensor((type as ValueType).shape, place);
  };

  /** Lets go of what the last call of an entry left. */
  const release = (entry: CompiledEntry): void => {
    for (const place of entry.left) {
      if (place.value !== null) library.release("ReleaseValue", place.value);
      place.value = null;
    }
    entry.left = [];
  };

  const bindState = ({ session, bound }: CompiledEntry): void => {
    for (const input of session.inputs) {
      if (!input.startsWith(statePrefix)) continue;
      const name = input.slice(statePrefix.length);
      const place = state.get(name) as Place;
      if (bound.get(name) === place) continue;
      if ("host" in place) session.bindHost(input, place.host);
      else session.bind(input, place.value);
      bound.set(name, place);
    }
  };

  return {
    run: (entry, inputs, kept = []) =>
      turns(async () => {
        if (disposed) throw new Error(`${entry} was run on a program that is disposed`);
        const found = find(entry, inputs);
        const { session } = found;
        bindState(found);
        for (const input of session.inputs) {
          if (!input.startsWith(inputPrefix)) continue;
          bindInput(found, input, inputs[input.slice(inputPrefix.length)] as HostTensor);
        }
        const leaves = new Set(kept.map((name) => outputPrefix + name));
        const stays = session.outputs.filter((name) => name.startsWith(nextPrefix) || leaves.has(name));
        const comes = session.outputs.filter((name) => name.startsWith(outputPrefix) && !leaves.has(name));
        for (const other of compiled.get(entry) ?? []) release(other);
        const results = await session.run(stays, comes);
        for (const [name, value] of results.kept) {
          if (name.startsWith(nextPrefix)) replace(name.slice(nextPrefix.length), value);
          else results.fetched.set(name, leave(found, name, value, inputs));
        }
        return unprefixed(results.fetched, outputPrefix);
      }),
    state: () =>
      turns(async () => {
        const onDevice = new Map<string, DeviceValue>();
        for (const [name, place] of state) if ("value" in place) onDevice.set(name, place.value);
        const read = await readState(settings, onDevice, types);
        return Object.fromEntries(
          [...state].map(([name, place]) => [
            name,
            "host" in place ? copied(place.host) : (read.get(name) as HostTensor),
          ]),
        );
      }),
    compiled: () => ({ ...spent }),
    dispose() {
      if (disposed) return;
      disposed = true;
      const sessions = [...compiled.values()].flat().map(({ session }) => session);
      for (const session of sessions) session.unbind();
      for (const entry of [...compiled.values()].flat()) release(entry);
      for (const place of state.values()) if ("value" in place) library.release("ReleaseValue", place.value);
      for (const session of sessions) session.dispose();
      compiled.clear();
      state.clear();
    },
  };
}

/** What a caller has of an output that stays on the device. */
function leftTensor(shape: readonly number[], place: { value: DeviceValue | null }): HostTensor {
  const tensor: HostTensor = {
    dtype: "float32",
    shape,
    get data(): Float32Array {
      throw new Error("an output that was left on the device is read by the host");
    },
  };
  onDevice.set(tensor, place);
  return tensor;
}

/** Names in the graph of a call's inputs that come as bits, with what a set bit stands for. */
function bitsOf(inputs: HostTensors): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, tensor] of Object.entries(inputs)) {
    if (tensor.dtype === "float32" && tensor.bits) found.set(inputPrefix + name, tensor.bits.value);
  }
  return found;
}

function bindInput({ session, bits }: CompiledEntry, name: string, tensor: HostTensor): void {
  const left = onDevice.get(tensor);
  if (left) {
    if (left.value === null) throw new Error(`${name} is an output whose entry point has run again`);
    session.bind(name, left.value);
    return;
  }
  const given = tensor.dtype === "float32" ? tensor.bits : undefined;
  if (!bits.has(name)) session.bindHost(name, tensor);
  else if (given && given.value === bits.get(name)) session.bindBits(name, given);
  else throw new Error(`${name} was compiled for bits of ${bits.get(name)}, and is now given others or none`);
}
