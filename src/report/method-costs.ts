// What a method costs beside its layers: parameters of all that is stored, seconds of training, milliseconds of serving.

import { existsSync } from "node:fs";
import { outlineBase } from "../checkpoints/bases/base";
import { readSafetensorsHeader } from "../checkpoints/formats/safetensors-header";
import { modelFile, type StoredRun } from "../checkpoints/runs/run-folder";
import { UserError } from "../errors/errors";
import type { EncoderConfig } from "../model/config";
import { countLayers } from "../model/overhead";
import { embeddingParameterCount, layerParameterCount } from "../model/parameters";
import { sizeOf } from "../model/tensors";
import { type LatencyModel, latencyOf } from "../selection/latency";
import type { Arm } from "./arms";
import { sum } from "./costs";
import type { Method, MethodCell } from "./methods";

/** Each null where a task has no such run, or what it takes to know it is not here. */
export interface MethodCosts {
  /** Of all tasks together: what they share once, and what is each one's own. */
  readonly parameters: number | null;
  /** Of the runs that are shown and of those that they were made from; a sweep that chose them is not in it. */
  readonly seconds: number | null;
  /** Of one batch through all tasks, as layers were measured. */
  readonly servingMs: number | null;
}

/** @param base its name, by which its config is found where it is here */
export async function costsOfMethods(
  methods: readonly Method[],
  base: string,
  latency: LatencyModel | null,
): Promise<ReadonlyMap<Method, MethodCosts>> {
  const config = await configOf(base);
  const sizes = new Map<StoredRun, Promise<number | null>>();
  const sizeOfRun = (run: StoredRun) => {
    const reading = sizes.get(run) ?? parametersOf(run);
    sizes.set(run, reading);
    return reading;
  };
  const costs = new Map<Method, MethodCosts>();
  for (const method of methods) {
    const cells = method.cells.filter((cell) => cell !== null);
    const whole = cells.length === method.cells.length;
    const together = whole && method.cost !== null;
    costs.set(method, {
      parameters: together && config ? await storedParameters(cells, config, sizeOfRun) : null,
      seconds: whole ? total(cells.map(({ seconds }) => seconds)) : null,
      servingMs: together && latency ? servingMs(cells, latency) : null,
    });
  }
  return costs;
}

const total = (values: readonly (number | null)[]): number | null =>
  values.includes(null) ? null : sum(values as readonly number[]);

async function configOf(base: string): Promise<EncoderConfig | null> {
  try {
    return (await outlineBase(base)).config;
  } catch (error) {
    if (error instanceof UserError) return null; // the report needs no base: it then says nothing of parameters
    throw error;
  }
}

async function parametersOf({ folder }: StoredRun): Promise<number | null> {
  const file = modelFile(folder);
  if (!existsSync(file)) return null;
  const { tensors } = await readSafetensorsHeader(file);
  return sum([...tensors.values()].map(({ shape }) => sizeOf(shape)));
}

const topOf = ({ fork, layers }: MethodCell) => (fork ?? 0) + layers;

async function storedParameters(
  cells: readonly MethodCell[],
  config: EncoderConfig,
  sizeOfRun: (run: StoredRun) => Promise<number | null>,
): Promise<number | null> {
  const ownOf = ({ best }: Arm) => best.record.trained ?? sizeOfRun(best);
  const own = await Promise.all(cells.map(({ arm }) => (arm ? ownOf(arm) : null)));
  const isFrozen = ({ arm }: MethodCell) => arm?.best.record.trained !== undefined;
  // Frozen layers are the base's, for whichever task they run.
  const shared = Math.max(countLayers(cells).shared, ...cells.filter(isFrozen).map(topOf));
  const sharing = cells.some(({ fork }) => fork !== null);
  const trunk = sharing ? embeddingParameterCount(config) + shared * layerParameterCount(config) : 0;
  return total([...own, trunk]);
}

/** What shares a trunk is one pass; each of the others a pass of its own. A head over no layers of its own is not counted. */
function servingMs(cells: readonly MethodCell[], latency: LatencyModel): number {
  const alone = cells.filter(({ fork }) => fork === null);
  const sharing = cells.filter(({ fork }) => fork !== null);
  const own = sum(alone.map(({ layers }) => latencyOf(latency, { shared: 0, branch: layers }, 1)));
  if (sharing.length === 0) return own;
  return own + latencyOf(latency, countLayers(sharing), sharing.filter(({ layers }) => layers > 0).length);
}
