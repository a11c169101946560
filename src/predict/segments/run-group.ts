// Rows of like length through the pieces of a model, from the bottom up: each stretch on the rows that anything above it wants, then
// the branches that leave there. A row that a ramp is sure of is taken out for that task, and out of the batch where no other
// task wants it higher up.

import type { LayerCost } from "../../batches/layer-cost";
import { chosenTokens, firstTokens, type PackedRows, packRows } from "../../batches/packed";
import type { TokenRows } from "../../batches/rows";
import type { EncoderConfig } from "../../model/config";
import { familyOf } from "../../model/families/families";
import { float32, type HostTensor, type HostTensors } from "../../model/tensors";
import type { BranchPiece, CallExits, ExitsOfCall, Piece, PieceRun, TaskLogits, TrunkPiece } from "./pieces";

export interface Work {
  readonly rows: TokenRows;
  readonly wants: readonly (readonly string[])[];
  readonly config: EncoderConfig;
  readonly onRun: ((run: PieceRun) => void) | undefined;
  readonly exits: ExitsOfCall;
  readonly cost: LayerCost;
}

/** From the bottom up: each stretch on the rows that anything above it wants, then the branches that leave there. */
export async function* runGroup(
  work: Work,
  group: readonly number[],
  trunk: readonly TrunkPiece[],
  branches: readonly BranchPiece[],
): AsyncGenerator<TaskLogits, void, undefined> {
  const { rows, wants, config, exits } = work;
  const leaving = openLeaving(work);
  const rowsOf = (wanting: readonly BranchPiece[]) =>
    group.filter((row) => wanting.some(({ name }) => wants[row]?.includes(name) && !leaving.hasLeft(name, row)));
  const packing = packer(rows, config);
  const pass = { work, packing, leaving };
  for (const branch of branches.filter(({ fork }) => fork === null)) {
    yield* runBranch(pass, branch, rowsOf([branch]), null);
  }
  let below: Below | null = null;
  try {
    for (const stretch of trunk) {
      const above = branches.filter(({ fork }) => fork !== null && fork >= stretch.to);
      const packed = regrouped(work, packing, rowsOf(above), below, stretch.layers);
      if (packed.rows.length === 0) return;
      const next = await runStretch(work, stretch, packed, below);
      below?.release();
      below = next;
      for (const branch of above.filter(({ name }) => exits[name]?.stops.includes(stretch.to))) {
        yield* leaving.ask(branch, stretch.to, rowsOf([branch]), below);
      }
      for (const branch of above.filter(({ fork }) => fork === stretch.to)) {
        yield* runBranch(pass, branch, rowsOf([branch]), below);
      }
    }
  } finally {
    below?.release(); // also where the caller asks for no more
  }
}

interface Pass {
  readonly work: Work;
  readonly packing: (chosen: readonly number[]) => PackedRows;
  readonly leaving: Leaving;
}

/** A task's own layers on its rows, whole or between its stops. */
async function* runBranch(
  { work, packing, leaving }: Pass,
  branch: BranchPiece,
  all: readonly number[],
  from: Below | null,
): AsyncGenerator<TaskLogits, void, undefined> {
  const exit = work.exits[branch.name];
  const { parts, rest } = branch.cutAt(exit?.stops ?? []);
  const left = () => all.filter((row) => !leaving.hasLeft(branch.name, row));
  let below = from;
  let own: Below | null = null;
  try {
    for (const part of parts) {
      if (left().length === 0) return;
      const next: Below = await runStretch(work, part, regrouped(work, packing, left(), own, part.layers), below);
      own?.release();
      own = next;
      below = next;
      yield* leaving.ask(branch, part.to, left(), next);
    }
    const rows = left();
    if (rows.length === 0) return;
    const { logits } = await runPiece(work, rest, packing(rows), below);
    const layer = exit ? { layer: branch.top } : {};
    yield { task: branch.name, rows, logits: logits as HostTensor, ...layer };
  } finally {
    own?.release();
  }
}

/**
 * The rows that the next piece runs: those that are left, unless to pack them anew takes longer than what the others would cost that
 * nobody waits for any more.
 */
function regrouped(
  { exits, rows, cost }: Work,
  packing: Pass["packing"],
  left: readonly number[],
  below: Below | null,
  layers: number,
): PackedRows {
  if (!below || left.length === 0 || Object.keys(exits).length === 0) return packing(left);
  const spared = below.packed.rows.length - left.length;
  if (spared <= 0) return packing(left);
  const tokens = below.packed.rows.reduce((sum, row) => sum + (rows.lengths[row] as number), 0);
  const needed = left.reduce((sum, row) => sum + (rows.lengths[row] as number), 0);
  return layers * (tokens - needed) > cost.start ? packing(left) : below.packed;
}

/** Which rows have left, by task, and what their ramps have said so far. */
interface Leaving {
  hasLeft(task: string, row: number): boolean;
  /** Asks a task's ramp on a layer about rows, and hands out what it says of those that leave. */
  ask(
    branch: BranchPiece,
    layer: number,
    rows: readonly number[],
    below: Below,
  ): AsyncGenerator<TaskLogits, void, undefined>;
}

function openLeaving(work: Work): Leaving {
  const left = new Map<string, Set<number>>();
  const said = new Map<string, Map<number, Float32Array[]>>();
  const of = <T>(map: Map<string, T>, task: string, empty: () => T): T => {
    const found = map.get(task) ?? empty();
    map.set(task, found);
    return found;
  };
  return {
    hasLeft: (task, row) => left.get(task)?.has(row) ?? false,
    async *ask(branch, layer, rows, below) {
      if (rows.length === 0) return;
      const { leaves } = work.exits[branch.name] as CallExits;
      const logits = await runRamp(work, branch.ramp(layer), rows, below);
      const width = logits.shape[1] as number;
      const outputs = of(said, branch.name, () => new Map<number, Float32Array[]>());
      const gone: number[] = [];
      for (const [i, row] of rows.entries()) {
        const passed = outputs.get(row) ?? [];
        passed.push((logits.data as Float32Array).slice(i * width, (i + 1) * width));
        outputs.set(row, passed);
        if (leaves(passed, row)) gone.push(row);
      }
      if (gone.length === 0) return;
      const values = new Float32Array(gone.length * width);
      for (const [i, row] of gone.entries()) values.set(outputs.get(row)?.at(-1) as Float32Array, i * width);
      const known = of(left, branch.name, () => new Set<number>());
      for (const row of gone) known.add(row);
      yield { task: branch.name, rows: gone, logits: float32([gone.length, width], values), layer };
    },
  };
}

/** What left the piece below. */
interface Below {
  readonly packed: PackedRows;
  readonly hidden: HostTensor;
  /** Lets go of it: it may lie on a device. */
  release(): void;
}

async function runStretch(work: Work, stretch: Piece, packed: PackedRows, below: Below | null): Promise<Below> {
  const { release } = await stretch.program();
  const outputs = await runPiece(work, stretch, packed, below, true);
  return { packed, hidden: outputs["hidden"] as HostTensor, release: () => release?.(outputs) };
}

async function runRamp(
  { onRun }: Work,
  { name, layers, program }: Piece,
  rows: readonly number[],
  { hidden, packed }: Below,
): Promise<HostTensor> {
  const { run } = await program();
  const started = performance.now();
  const { logits } = await run({ below: hidden, first: firstTokens(packed, rows) });
  onRun?.({ piece: name, rows: rows.length, tokens: rows.length, layers, ms: performance.now() - started });
  return logits as HostTensor;
}

async function runPiece(
  { rows, onRun }: Work,
  { name, layers, program }: Piece,
  packed: PackedRows,
  below: Below | null,
  leave = false,
): Promise<HostTensors> {
  const { run, inputs } = await program();
  const given: HostTensors = { ...packed.inputs };
  if (below) Object.assign(given, { below: below.hidden, tokens: chosenTokens(below.packed, packed, rows.lengths) });
  const chosen = Object.fromEntries(inputs.map((input) => [input, given[input] as HostTensor]));
  const started = performance.now();
  const outputs = await run(chosen, leave);
  onRun?.({ piece: name, rows: packed.rows.length, tokens: packed.tokens, layers, ms: performance.now() - started });
  return outputs;
}

/** Rows are packed once for all pieces that run the same of them. */
function packer(rows: TokenRows, config: EncoderConfig): (chosen: readonly number[]) => PackedRows {
  const around = familyOf(config).inputs.neighbours?.(config) ?? false;
  const known = new Map<string, PackedRows>();
  return (chosen) => {
    const key = chosen.join();
    const packed = known.get(key) ?? packRows(rows, chosen, config.numAttentionHeads, around);
    known.set(key, packed);
    return packed;
  };
}
