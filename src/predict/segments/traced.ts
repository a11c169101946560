// Pieces made of tensors at hand: traced when they are opened, for any engine. A run folder has no others, and an engine
// that runs no stored graphs takes them for a merged folder too.

import type { Engine, GraphProgram } from "../../engines/engine";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import { packedAxes } from "../../model/packed";
import { stretchTensors, unscoped } from "../../model/parameters";
import { branchCall, branchEntry, stretchCall, stretchEntry } from "../../model/segment";
import type { HostTensors } from "../../model/tensors";
import type { Kind } from "../../tasks/kinds/kind";
import type { PieceSource, SegmentedTask } from "./segments";

/** @param tensors embeddings and trunk layers under their own names, branches scoped by task */
export function tracedPieces(
  engine: Engine,
  config: EncoderConfig,
  tasks: readonly (SegmentedTask & { readonly kind: Kind })[],
  tensors: HostTensors,
): PieceSource {
  return {
    stretch(stretch) {
      return load(
        engine,
        stretchTensors(tensors, stretch),
        stretchEntry(config, stretch),
        stretchCall(config, stretch),
      );
    },
    async branch(name) {
      const task = tasks.find((known) => known.name === name) as (typeof tasks)[number];
      const head = await task.kind.head(config);
      return load(engine, unscoped(name, tensors), branchEntry(config, task, head), branchCall(config, task, head));
    },
  };
}

async function load(engine: Engine, state: HostTensors, run: EntryPoint, call: object): Promise<GraphProgram> {
  const program = await engine.load(state, { run }, { run: packedAxes });
  return { inputs: Object.keys(call), run: (inputs) => program.run("run", inputs), dispose: () => program.dispose() };
}
