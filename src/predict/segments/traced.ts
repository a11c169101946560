// Pieces made of tensors at hand: traced when they are opened, for any engine. A run folder has no others, and an engine
// that runs no stored graphs takes them for a merged folder too.

import type { Engine, GraphProgram } from "../../engines/engine";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import { packedAxes } from "../../model/packed";
import { restTensors, stretchTensors, unscoped } from "../../model/parameters";
import type { Place } from "../../model/place";
import { isRampOf, withoutRamps } from "../../model/ramp-names";
import { branchCall, branchEntry, rampCall, rampEntry, stretchCall, stretchEntry } from "../../model/segment";
import type { Stretch } from "../../model/stretches";
import type { HostTensors } from "../../model/tensors";
import type { Kind } from "../../tasks/kinds/kind";
import type { PieceSource, SegmentedTask } from "./pieces";

/** @param tensors embeddings and trunk layers under their own names, branches and their ramps scoped by task */
export function tracedPieces(
  engine: Engine,
  config: EncoderConfig,
  tasks: readonly (SegmentedTask & { readonly kind: Kind })[],
  tensors: HostTensors,
): PieceSource {
  const headed = async (name: string) => {
    const task = tasks.find((known) => known.name === name) as (typeof tasks)[number];
    return { task, head: await task.kind.head(config), own: unscoped(name, tensors) };
  };
  const stretchOver = (stretch: Stretch, state: HostTensors) =>
    load(engine, stretchTensors(state, stretch), stretchEntry(config, stretch), stretchCall(config, stretch));
  const stretch = (of: Stretch) => stretchOver(of, tensors);
  return {
    stretch,
    async branch(name) {
      const { task, head, own } = await headed(name);
      return load(engine, withoutRamps(own), branchEntry(config, task, head), branchCall(config, task, head));
    },
    exits: {
      stretch,
      part: async (name, of) => stretchOver(of, (await headed(name)).own),
      async rest(name, from) {
        const { task, head, own } = await headed(name);
        const place: Place = { fork: from, layers: (task.fork ?? 0) + task.layers - from };
        return load(
          engine,
          restTensors(withoutRamps(own), place),
          branchEntry(config, place, head),
          branchCall(config, place, head),
        );
      },
      async ramp(name, layer) {
        const { head, own } = await headed(name);
        const ramp = Object.fromEntries(Object.entries(own).filter(([tensor]) => isRampOf(tensor, layer)));
        return load(engine, ramp, rampEntry(layer, head), rampCall(config));
      },
    },
  };
}

async function load(engine: Engine, state: HostTensors, run: EntryPoint, call: object): Promise<GraphProgram> {
  const program = await engine.load(state, { run }, { run: packedAxes });
  return { inputs: Object.keys(call), run: (inputs) => program.run("run", inputs), dispose: () => program.dispose() };
}
