// A version's stored pieces on a few rows, before the version counts (export/pieces/pieces-check.ts): the pieces that a model opens,
// one in memory at a time, however many tasks there are.

import { eachRowLogits, joined } from "../../batches/row-logits";
import { tokenRows } from "../../batches/rows";
import type { Engine, GraphProgram } from "../../engines/engine";
import type { RunStored, StoredRun } from "../../export/pieces/pieces-check";
import { exitsIn } from "../../merge/folder/leaving";
import { stopsOf } from "../../merge/folder/pieces";
import type { Stretch } from "../../model/stretches";
import { int8Pieces } from "./int8-pieces";
import type { ExitsOfCall, OpenPiece, PieceSource } from "./pieces";
import { openSegments } from "./segments";
import { storedPieces } from "./stored";

/** All rows go through attention together, so every piece runs once. */
const ONE_GROUP = { cell: 0, call: 1, start: 0 };

/** @param engine one that has openGraph, on the CPU */
export const storedRunner =
  (engine: Engine): RunStored =>
  async ({ folder, model, config, weights, tasks, rows: encodings, padId, leaving = false }) => {
    const cuts = model.tasks.flatMap(({ fork }) => fork ?? []);
    const source =
      weights === "int8"
        ? await int8Pieces(engine, folder, model, { config, tasks }, "int8")
        : storedPieces(engine, folder, model);
    if (!source) throw new Error(`the engine ${engine.name} opens no pieces of ${folder}`);
    const segments = openSegments(config, tasks, oneByOne(source), cuts, engine.device, ONE_GROUP);
    const rows = tokenRows(encodings, padId);
    const names = tasks.map(({ name }) => name);
    const wants = encodings.map(() => names);
    const found = Object.fromEntries(names.map((name) => [name, encodings.map(() => new Float32Array(0))]));
    const exits = leaving ? asked(tasks, model, weights, (task, row, said) => keep(task, row, joined(said))) : {};
    const keep = (task: string, row: number, logits: Float32Array) => {
      (found[task] as Float32Array[])[row] = logits;
    };
    try {
      for await (const { task, rows: ran, logits } of segments.run(rows, wants, undefined, exits)) {
        const tokensOf = (row: number) => rows.lengths[row] as number;
        for (const part of eachRowLogits(ran, logits.data as Float32Array, logits.shape.at(-1) as number, tokensOf)) {
          keep(task, part.row, joined([found[task]?.[part.row] as Float32Array, part.logits]));
        }
      }
    } finally {
      segments.dispose();
    }
    return found;
  };

/** Asks every ramp at the stops of tasks that have a rule, and lets no row leave. @param onSaid called with a row and what they all say */
function asked(
  tasks: StoredRun["tasks"],
  model: StoredRun["model"],
  weights: StoredRun["weights"],
  onSaid: (task: string, row: number, said: readonly Float32Array[]) => void,
): ExitsOfCall {
  const all = tasks.map((task) => ({ name: task.name, stops: stopsOf(exitsIn(model, task, weights)) }));
  return Object.fromEntries(
    all
      .filter(({ stops }) => stops.length > 0)
      .map(({ name, stops }) => {
        const leaves = (said: readonly Float32Array[], row: number) => {
          if (said.length === stops.length) onSaid(name, row, said);
          return false;
        };
        return [name, { stops, leaves }];
      }),
  );
}

/** Pieces that are closed as soon as they have run. */
function oneByOne({ stretch, branch, exits }: PieceSource): PieceSource {
  const whole = {
    stretch: (wanted: Stretch) => closedAfterRun(() => stretch(wanted)),
    branch: (task: string) => closedAfterRun(() => branch(task)),
  };
  if (!exits) return whole;
  return {
    ...whole,
    exits: {
      ...exits,
      stretch: (wanted) => closedAfterRun(() => exits.stretch(wanted)),
      part: (task, of) => closedAfterRun(() => exits.part(task, of)),
      rest: (task, from) => closedAfterRun(() => exits.rest(task, from)),
      ramp: (task, layer) => closedAfterRun(() => exits.ramp(task, layer)),
    },
  };
}

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
