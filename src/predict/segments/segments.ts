// The merged model in pieces: the trunk cut where branches leave it, and each branch, every piece a program of its own. A
// call runs for each row only the pieces that its tasks need; rows that ask for different tasks share the pieces under them.
// Padding is not computed (model/packed.ts). What a shallow fork gives is handed out before the deeper layers run.

import { chosenTokens, groupRows, type LayerCost, type PackedRows, packRows } from "../../batches/packed";
import type { TokenRows } from "../../batches/rows";
import type { Engine, GraphProgram } from "../../engines/engine";
import type { EncoderConfig } from "../../model/config";
import { familyOf } from "../../model/families/families";
import { layerFlops } from "../../model/flops";
import type { Place } from "../../model/place";
import { type Stretch, stretchesOf } from "../../model/stretches";
import type { HostTensor, HostTensors } from "../../model/tensors";

type Device = Engine["device"];

/** Opens a piece's program. */
export type OpenPiece = () => Promise<GraphProgram>;

/** What makes the pieces of one model. */
export interface PieceSource {
  stretch(stretch: Stretch): Promise<GraphProgram>;
  branch(task: string): Promise<GraphProgram>;
}

export interface SegmentedTask extends Place {
  readonly name: string;
}

/** Some of a task's rows. */
export interface TaskLogits {
  readonly task: string;
  /** Positions among the rows of the call. */
  readonly rows: readonly number[];
  /** [rows, outputs], in the order of `rows` */
  readonly logits: HostTensor;
}

/** One run of one piece. */
export interface PieceRun {
  /** "layers 0-4", or a task's name. */
  readonly piece: string;
  readonly rows: number;
  readonly tokens: number;
  /** Encoder layers that it has. */
  readonly layers: number;
  readonly ms: number;
}

export interface Segments {
  /**
   * Logits of rows, each for tasks of its own, as soon as they are there: a task's may come in several parts.
   * @param wants names of tasks, a list for each row
   * @param onRun called after each run of a piece
   */
  run(
    rows: TokenRows,
    wants: readonly (readonly string[])[],
    onRun?: (run: PieceRun) => void,
  ): AsyncGenerator<TaskLogits, void, undefined>;
  /** Opens the pieces of some tasks now, all by default: else each is opened when it is first needed. */
  open(tasks?: readonly string[]): Promise<void>;
  /**
   * Puts another branch in a task's place, and leaves every other piece as it is. A call that is under way ends with the
   * branch with which it began, or with this one. Throws Error for a fork at which the trunk is not cut.
   */
  replace(task: SegmentedTask, open: OpenPiece): Promise<void>;
  dispose(): void;
}

interface Piece {
  readonly name: string;
  readonly layers: number;
  program(): Promise<GraphProgram>;
  dispose(): void;
}

interface TrunkPiece extends Piece {
  readonly to: number;
}

interface BranchPiece extends Piece {
  readonly fork: number | null;
}

/**
 * @param cuts layers at which the trunk is cut beside the tasks' forks
 * @param device where the pieces run
 */
export function openSegments(
  config: EncoderConfig,
  tasks: readonly SegmentedTask[],
  source: PieceSource,
  cuts: readonly number[] = [],
  device: Device = "cpu",
): Segments {
  const trunk: TrunkPiece[] = trunkStretches(tasks, cuts).map((stretch) => {
    const { from, to } = stretch;
    return { ...piece(`layers ${from}-${to}`, to - from, () => source.stretch(stretch)), to };
  });
  const branchOf = (task: SegmentedTask, open: OpenPiece): BranchPiece => ({
    ...piece(task.name, task.layers, open),
    fork: task.fork,
  });
  const branches = new Map(tasks.map((task) => [task.name, branchOf(task, () => source.branch(task.name))]));
  const cost = layerCost(config, device);

  return {
    async *run(rows, wants, onRun) {
      const all = [...wants.keys()].filter((row) => (wants[row] as readonly string[]).length > 0);
      requireKnown(wants, branches);
      for (const group of groupRows(rows.lengths, all, cost)) {
        yield* runGroup({ rows, wants, config, onRun }, group, trunk, [...branches.values()]);
      }
    },
    async open(names) {
      const wanted = [...branches].filter(([name]) => names?.includes(name) ?? true).map(([, branch]) => branch);
      const deepest = Math.max(-1, ...wanted.map(({ fork }) => fork ?? -1));
      for (const { to, program } of trunk) if (to <= deepest) await program();
      for (const { program } of wanted) await program();
    },
    async replace(task, open) {
      if (task.fork !== null && !trunk.some(({ to }) => to === task.fork)) {
        throw new Error(`${task.name} forks at layer ${task.fork}, where the trunk is not cut`);
      }
      const next = branchOf(task, open);
      await next.program();
      const before = branches.get(task.name);
      branches.set(task.name, next);
      before?.dispose();
    },
    dispose() {
      for (const { dispose } of [...trunk, ...branches.values()]) dispose();
    },
  };
}

/** The stretches of a trunk that these tasks need. */
export function trunkStretches(tasks: readonly SegmentedTask[], cuts: readonly number[] = []): Stretch[] {
  const forks = tasks.flatMap(({ fork }) => fork ?? []);
  const deepest = Math.max(-1, ...forks);
  return stretchesOf([...forks, ...cuts.filter((cut) => cut <= deepest)]);
}

/** Opened when it is first needed, and once. */
function piece(name: string, layers: number, open: OpenPiece): Piece {
  let opening: Promise<GraphProgram> | null = null;
  let opened: GraphProgram | null = null;
  let disposed = false;
  const begin = async () => {
    const program = await open();
    if (disposed) program.dispose();
    else opened = program;
    return program;
  };
  return {
    name,
    layers,
    program() {
      if (disposed) throw new Error(`${name} was run after it was disposed of`);
      opening ??= begin().catch((error) => {
        opening = null; // what is mended meanwhile is found the next time
        throw error;
      });
      return opening;
    },
    dispose() {
      disposed = true;
      opened?.dispose();
      opened = null;
    },
  };
}

function requireKnown(wants: readonly (readonly string[])[], branches: ReadonlyMap<string, unknown>): void {
  const unknown = wants.flat().find((name) => !branches.has(name));
  if (unknown !== undefined) throw new Error(`the model is open without the task ${unknown}`);
}

/**
 * What an operation of attention takes, its products being small and the rest passes over memory, in operations of products with weights;
 * and a call in tokens: of a processor the reading of the weights, of a GPU the starting of kernels.
 */
const COSTS = { cpu: { attention: 10, call: 20 }, gpu: { attention: 1, call: 500 } } as const;

/** Operations in the place of what a call takes whatever the model: starting its kernels, packing, the objects around tensors. */
const START = 5e6;

function layerCost(config: EncoderConfig, device: Device): LayerCost {
  const products = layerFlops(config, 1, 0);
  const { attention, call } = COSTS[device];
  return {
    cell: (attention * (layerFlops(config, 1, 1) - products)) / products,
    call: call + START / products,
  };
}

interface Work {
  readonly rows: TokenRows;
  readonly wants: readonly (readonly string[])[];
  readonly config: EncoderConfig;
  readonly onRun: ((run: PieceRun) => void) | undefined;
}

/** From the bottom up: each stretch on the rows that anything above it wants, then the branches that leave there. */
async function* runGroup(
  work: Work,
  group: readonly number[],
  trunk: readonly TrunkPiece[],
  branches: readonly BranchPiece[],
): AsyncGenerator<TaskLogits, void, undefined> {
  const { rows, wants, config } = work;
  const rowsOf = (wanting: readonly BranchPiece[]) =>
    group.filter((row) => wanting.some(({ name }) => wants[row]?.includes(name)));
  const packing = packer(rows, config);
  const logits = async (branch: BranchPiece, own: readonly number[], below: Below | null): Promise<TaskLogits> => {
    const { logits } = await runPiece(work, branch, packing(own), below);
    return { task: branch.name, rows: own, logits: logits as HostTensor };
  };
  for (const branch of branches.filter(({ fork }) => fork === null)) {
    const own = rowsOf([branch]);
    if (own.length > 0) yield await logits(branch, own, null);
  }
  let below: Below | null = null;
  try {
    for (const stretch of trunk) {
      const above = branches.filter(({ fork }) => fork !== null && fork >= stretch.to);
      const packed = packing(rowsOf(above));
      if (packed.rows.length === 0) return;
      const next = await runStretch(work, stretch, packed, below);
      below?.release();
      below = next;
      for (const branch of above.filter(({ fork }) => fork === stretch.to)) {
        const own = rowsOf([branch]);
        if (own.length > 0) yield await logits(branch, own, below);
      }
    }
  } finally {
    below?.release(); // also where the caller asks for no more
  }
}

async function runStretch(work: Work, stretch: TrunkPiece, packed: PackedRows, below: Below | null): Promise<Below> {
  const { release } = await stretch.program();
  const outputs = await runPiece(work, stretch, packed, below, true);
  return { packed, hidden: outputs["hidden"] as HostTensor, release: () => release?.(outputs) };
}

/** What left the piece below. */
interface Below {
  readonly packed: PackedRows;
  readonly hidden: HostTensor;
  /** Lets go of it: it may lie on a device. */
  release(): void;
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
