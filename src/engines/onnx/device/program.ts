// A program on a device: entry points compiled when they are first called, and the state kept on the device from its first
// use on. A call brings its inputs there and its outputs back; new state replaces the old without leaving.

import {
  fits,
  inputPrefix,
  nextPrefix,
  outputPrefix,
  prefixed,
  statePrefix,
  type TracedEntry,
  traceEntry,
  unprefixed,
} from "../../../compile/entry";
import { toOnnx } from "../../../compile/onnx/onnx";
import { fuseAttention } from "../../../compile/passes/attention";
import { groupUpdates } from "../../../compile/passes/group-updates";
import { packingOf, packState } from "../../../compile/passes/pack-state";
import { optimise } from "../../../compile/passes/passes";
import type { DynamicAxes, EntryPoint } from "../../../model/entry-point";
import type { HostTensor, HostTensors } from "../../../model/tensors";
import type { Program } from "../../engine";
import { bindLeft, isLeft, leftTensor, releaseLeft } from "./left";
import { type DeviceSession, type DeviceSettings, openDeviceSession } from "./session";
import { openDeviceState, type Place, typesOf } from "./state";
import type { Turns } from "./turns";

interface CompiledEntry {
  readonly traced: TracedEntry;
  readonly session: DeviceSession;
  /** Inputs that it takes as bits. */
  readonly bits: ReadonlyMap<string, number>;
  /** What each input of state is bound to. */
  readonly bound: Map<string, Place>;
  /** Outputs of the last call that were left on the device. */
  left: readonly HostTensor[];
}

/** `turns` makes the runs of an engine's programs one after the other. */
export function loadDeviceProgram<E extends string>(
  settings: DeviceSettings,
  turns: Turns,
  initial: HostTensors,
  entries: Readonly<Record<E, EntryPoint>>,
  axes: Readonly<Partial<Record<E, DynamicAxes>>> | undefined,
): Program<E> {
  const { provider } = settings;
  const state = openDeviceState(settings, initial);
  const types = Object.fromEntries(typesOf(initial));
  const compiled = new Map<E, CompiledEntry[]>();
  const spent = { graphs: 0, seconds: 0 };
  let disposed = false;

  const compile = (entry: E, inputs: HostTensors): CompiledEntry => {
    const started = performance.now();
    const traced = traceEntry(entries[entry], types, inputs, axes?.[entry] ?? {});
    const learns = [...traced.graph.outputs.keys()].some((name) => name.startsWith(nextPrefix));
    const grouped = groupUpdates(optimise(traced.graph));
    if (learns && !state.changes) {
      releaseAll(); // what was compiled has the state as constants, tensor by tensor
      state.change(packingOf(grouped));
    }
    const bits = bitsOf(inputs);
    const packed = packState(grouped, state.packings);
    const model = toOnnx(provider.attention && !learns ? fuseAttention(packed) : packed, {
      constants: prefixed(state.constants(), statePrefix),
      symbols: traced.symbols.map((symbol) => ({ ...symbol, input: inputPrefix + symbol.input })),
      bits,
      products: settings.products,
      webgpu: provider.name === "webgpu",
    });
    const session = openDeviceSession(settings, model, learns || provider.name === "webgpu" ? "basic" : "all");
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

  /** Lets go of what the last call of an entry left. */
  const release = (entry: CompiledEntry): void => {
    for (const tensor of entry.left) releaseLeft(settings.library, tensor);
    entry.left = [];
  };

  /** `between`: what must go after the bindings, and before the sessions whose memory it is. */
  const releaseAll = (between: () => void = () => undefined): void => {
    const all = [...compiled.values()].flat();
    compiled.clear();
    for (const { session } of all) session.unbind();
    for (const entry of all) release(entry);
    between();
    for (const { session } of all) session.dispose();
  };

  const bindState = ({ session, bound }: CompiledEntry): void => {
    for (const input of session.inputs) {
      if (!input.startsWith(statePrefix)) continue;
      const name = input.slice(statePrefix.length);
      const place = state.place(name);
      if (bound.get(name) === place) continue;
      if ("host" in place) session.bindHost(input, place.host);
      else session.bind(input, place.value);
      bound.set(name, place);
    }
  };

  const runEntry = async (entry: E, inputs: HostTensors, kept: readonly string[]): Promise<HostTensors> => {
    const found = find(entry, inputs);
    const { session } = found;
    const given = session.inputs.filter((name) => name.startsWith(inputPrefix));
    const drawn = await drawInputs(found, given, inputs); // before anything is bound: nothing is half made
    bindState(found);
    try {
      for (const name of given) bindInput(session, name, inputOf(inputs, name), drawn.get(name));
      const leaves = new Set(kept.map((name) => outputPrefix + name));
      const stays = session.outputs.filter((name) => name.startsWith(nextPrefix) || leaves.has(name));
      const comes = session.outputs.filter((name) => name.startsWith(outputPrefix) && !leaves.has(name));
      for (const other of compiled.get(entry) ?? []) release(other);
      const results = await session.run(stays, comes);
      for (const [name, value] of results.kept) {
        if (name.startsWith(nextPrefix)) state.replace(name.slice(nextPrefix.length), value);
        else {
          const tensor = leftTensor(session.typeOf(value), value);
          found.left = [...found.left, tensor];
          results.fetched.set(name, tensor);
        }
      }
      return unprefixed(results.fetched, outputPrefix);
    } finally {
      // Another program's values: they must not be held here when its sessions end.
      for (const name of given) if (isLeft(inputOf(inputs, name))) session.drop(name);
    }
  };

  const requireOpen = (what: string): void => {
    if (disposed) throw new Error(`${what} on a program that is disposed`);
  };

  return {
    async run(entry, inputs, kept = []) {
      requireOpen(`${entry} was run`);
      return turns(() => runEntry(entry, inputs, kept));
    },
    async state() {
      requireOpen("the state was read");
      return turns(() => state.read());
    },
    compiled: () => ({ ...spent }),
    dispose() {
      if (disposed) return;
      disposed = true;
      turns.brief(() => releaseAll(() => state.dispose())); // after the runs that were begun
    },
  };
}

/** Names in the graph of a call's inputs that come as bits, with what a set bit stands for. */
function bitsOf(inputs: HostTensors): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, tensor] of Object.entries(inputs)) {
    if (tensor.dtype === "float32" && tensor.bits) found.set(inputPrefix + name, tensor.bits.value);
  }
  return found;
}

const inputOf = (inputs: HostTensors, name: string): HostTensor => {
  const found = inputs[name.slice(inputPrefix.length)];
  if (!found) throw new Error(`a call lacks ${name.slice(inputPrefix.length)}`);
  return found;
};

/** The bytes of a call's inputs of bits, drawn side by side. */
async function drawInputs(
  { bits }: CompiledEntry,
  names: readonly string[],
  inputs: HostTensors,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const drawn = names
    .filter((name) => bits.has(name))
    .map(async (name) => {
      const tensor = inputOf(inputs, name);
      const given = tensor.dtype === "float32" ? tensor.bits : undefined;
      if (!given || given.value !== bits.get(name)) {
        throw new Error(`${name} was compiled for bits of ${bits.get(name)}, and is now given others or none`);
      }
      return [name, await given.bytes()] as const;
    });
  return new Map(await Promise.all(drawn));
}

function bindInput(session: DeviceSession, name: string, tensor: HostTensor, bytes: Uint8Array | undefined): void {
  if (bytes) session.bindBits(name, bytes);
  else if (isLeft(tensor)) bindLeft(session, name, tensor);
  else session.bindHost(name, tensor);
}
