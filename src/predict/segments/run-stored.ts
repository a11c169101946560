// A version's stored pieces on a few rows, before the version counts (export/pieces/pieces-check.ts): the pieces that a model opens,
// one in memory at a time, however many tasks there are.

import { eachRowLogits } from "../../batches/row-logits";
import { tokenRows } from "../../batches/rows";
import type { Engine, GraphProgram } from "../../engines/engine";
import type { RunStored } from "../../export/pieces/pieces-check";
import { int8Pieces } from "./int8-pieces";
import type { OpenPiece, PieceSource } from "./pieces";
import { openSegments } from "./segments";
import { storedPieces } from "./stored";

/** All rows go through attention together, so every piece runs once. */
const ONE_GROUP = { cell: 0, call: 1, start: 0 };

/** @param engine one that has openGraph, on the CPU */
export const storedRunner =
  (engine: Engine): RunStored =>
  async ({ folder, model, config, weights, tasks, rows: encodings, padId }) => {
    const cuts = model.tasks.flatMap(({ fork }) => fork ?? []);
    const source =
      weights === "int8"
        ? await int8Pieces(engine, folder, model, { config, tasks }, "int8")
        : storedPieces(engine, folder, model);
    if (!source) throw new Error(`the engine ${engine.name} opens no pieces of ${folder}`);
    const segments = openSegments(config, tasks, oneByOne(source), cuts, engine.device, ONE_GROUP);
    const rows = tokenRows(encodings, padId);
    const names = tasks.map(({ name }) => name);
    const found = Object.fromEntries(names.map((name) => [name, encodings.map(() => new Float32Array(0))]));
    try {
      for await (const { task, rows: ran, logits } of segments.run(
        rows,
        encodings.map(() => names),
      )) {
        const own = found[task] as Float32Array[];
        const tokensOf = (row: number) => rows.lengths[row] as number;
        for (const part of eachRowLogits(ran, logits.data as Float32Array, logits.shape.at(-1) as number, tokensOf)) {
          own[part.row] = part.logits;
        }
      }
    } finally {
      segments.dispose();
    }
    return found;
  };

/** Pieces that are closed as soon as they have run. */
const oneByOne = ({ stretch, branch }: PieceSource): PieceSource => ({
  stretch: (wanted) => closedAfterRun(() => stretch(wanted)),
  branch: (task) => closedAfterRun(() => branch(task)),
});

async function closedAfterRun(open: OpenPiece): Promise<GraphProgram> {
  const program = await open();
  let isOpen = true;
  const dispose = () => {
    if (isOpen) program.dispose();
    isOpen = false;
  };
  return {
    inputs: program.inputs,
    async run(inputs) {
      try {
        return await program.run(inputs);
      } finally {
        dispose();
      }
    },
    dispose,
  };
}
