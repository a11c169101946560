// What doctor says of each engine: whether it is here or why not, its device and speed, and the one step that would make
// it better.

import { ExitCode, UserError } from "../errors/errors";
import { type EngineName, engineNames } from "../settings/engine";
import { gemmRate } from "./gemm-rate";
import { hasNvidiaDriver, hasNvidiaHardware, listNvidiaGpus, type NvidiaGpu } from "./nvidia";
import { explainAbsence, openEngine } from "./open";
import { cachedProbe, ISA_VARIABLE } from "./tensorflow/cpu-probe";
import { locateTensorflow, nameOf } from "./tensorflow/load";

export type Diagnosis =
  | {
      readonly name: EngineName;
      readonly present: true;
      readonly summary: string;
      readonly device: "cpu" | "gpu";
      readonly threads: number;
      readonly flopsPerSecond: number;
      /** Where it was loaded from, where there is a choice. */
      readonly source: string | null;
      readonly improvement: string | null;
    }
  | {
      readonly name: EngineName;
      readonly present: false;
      readonly reason: string;
      readonly remedy: string;
      /** Whether a setting of the user's is what keeps it from running. */
      readonly wrongSetting: boolean;
    };

/** Opens every engine and measures a matrix product on it. */
export async function diagnoseEngines(verbose: boolean): Promise<Diagnosis[]> {
  const diagnoses: Diagnosis[] = [];
  for (const name of engineNames) diagnoses.push(await diagnose(name, verbose));
  return diagnoses;
}

/** NVIDIA's GPUs, and what is wrong where there is one that cannot be used. */
export async function diagnoseGpus(): Promise<{
  readonly gpus: readonly NvidiaGpu[];
  readonly problem: string | null;
}> {
  const gpus = await listNvidiaGpus();
  if (gpus.length > 0 || hasNvidiaDriver()) return { gpus, problem: null };
  return { gpus, problem: hasNvidiaHardware() ? "an NVIDIA GPU without a driver: install NVIDIA's driver" : null };
}

async function diagnose(name: EngineName, verbose: boolean): Promise<Diagnosis> {
  try {
    const { engine } = await openEngine(name, { verbose });
    const { summary, device, threads } = engine;
    const flopsPerSecond = await gemmRate(engine);
    const tensorflow = name === "tensorflow" ? await describeTensorflow(device) : { source: null, improvement: null };
    return { name, present: true, summary, device, threads, flopsPerSecond, ...tensorflow };
  } catch (error) {
    const { reason, remedy } = explainAbsence(name, error);
    return { name, present: false, reason, remedy, wrongSetting: isWrongSetting(error) };
  }
}

/** Nothing is absent then: the engine refuses, and so does `auto` where it comes to it. */
const isWrongSetting = (error: unknown) => error instanceof UserError && error.exitCode !== ExitCode.engineAbsent;

async function describeTensorflow(device: "cpu" | "gpu") {
  const found = locateTensorflow();
  const { addon, build } = found;
  const probe = await cachedProbe(addon);
  const limit =
    "isa" in probe && probe.isa !== null ? `, with ${ISA_VARIABLE}=${probe.isa}: this CPU faults above it` : "";
  const source = `${nameOf(found)}${limit}`;
  return { source, improvement: device === "cpu" && hasNvidiaDriver() ? towardsGpu(build?.flavour ?? null) : null };
}

const towardsGpu = (flavour: "cpu" | "gpu" | null) =>
  flavour === "gpu"
    ? "TensorFlow does not take the GPU. See why: flexbert doctor --verbose"
    : "There is a GPU. Run: flexbert engine install tensorflow --gpu";
