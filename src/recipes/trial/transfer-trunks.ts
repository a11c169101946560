// The trunk activations of texts without labels, beside those of a task's own rows and as they are: in what memory is left,
// else on disk, else computed at every step.

import { type BaseDescription, withWeights } from "../../checkpoints/bases/base";
import type { Engine } from "../../engines/engine";
import type { Place } from "../../model/place";
import type { Task } from "../../tasks/task";
import type { BranchSource } from "../../training/loop/branch-source";
import type { RunContext } from "../../training/tracking/tracker";
import type { TokenStore } from "../../training/trunk/token-store";
import { openTrunk, type Trunk } from "../../training/trunk/trunk";
import type { TransferTexts } from "./transfer";

export interface Transfers {
  /** What activations take of memory now. */
  memoryBytes(): number;
  under(texts: TransferTexts, place: Place): Promise<BranchSource>;
  dispose(): Promise<void>;
}

interface OpenTransfer {
  readonly key: string;
  readonly tokens: TokenStore;
  readonly trunk: Trunk;
  last: { readonly fork: number; readonly source: BranchSource } | null;
}

interface TransferRoom {
  readonly folder: string;
  /** Bytes of memory that the task's own rows leave. */
  left(): number;
  /** As in openTrunks. */
  readonly revisited: readonly number[];
  /** As in openTrunk. */
  nodeCache(): Promise<string | null>;
}

/** Holds one set of texts at a time: trials that read the same come one after the other. */
export function openTransfers(
  task: Task,
  base: BaseDescription,
  maxLength: number,
  { folder, left, revisited, nodeCache }: TransferRoom,
  context: RunContext<Engine>,
): Transfers {
  let opened: OpenTransfer | null = null;
  const close = async () => {
    await opened?.trunk.dispose();
    opened?.tokens.dispose();
    opened = null;
  };
  const open = async (texts: TransferTexts, key: string): Promise<OpenTransfer> => {
    const label = `${task.name} transfer`;
    for (const note of texts.notes) context.reporter.warn(note);
    context.reporter.log(`${label}: encoding ${texts.rows} rows of ${texts.from.join(", ")}`);
    const tokens = await texts.encode(base, maxLength, folder);
    try {
      const room = { budget: left(), folder, label, keep: new Set(revisited), nodeCache: await nodeCache() };
      const trunk = await openTrunk(await withWeights(base), tokens.rows, room, context);
      context.reporter.log(`${label}: trunk activations of ${tokens.rows.tokens} tokens ${trunk.place}`);
      return { key, tokens, trunk, last: null };
    } catch (error) {
      tokens.dispose();
      throw error;
    }
  };
  return {
    memoryBytes: () => opened?.trunk.memoryBytes ?? 0,
    async under(texts, { fork }) {
      const key = `${texts.sha256} ${texts.rows}`;
      if (opened?.key !== key) {
        await close();
        opened = await open(texts, key);
      }
      // A full teacher reads the tokens themselves.
      if (fork === null) return { rows: opened.tokens.rows, config: base.config, activations: null };
      if (opened.last?.fork === fork) return opened.last.source;
      const source = { rows: opened.tokens.rows, config: base.config, activations: await opened.trunk.at(fork) };
      opened.last = { fork, source };
      return source;
    },
    dispose: close,
  };
}
