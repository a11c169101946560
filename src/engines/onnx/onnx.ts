// The onnx engine: entry points traced to graphs, lowered to ONNX and run by onnxruntime's CPU library, which lies
// prebuilt in its npm package. State stays in host memory: onnxruntime has no variables.

import { availableParallelism } from "node:os";
import type { DynamicAxes, EntryPoint } from "../../model/entry-point";
import type { HostTensors } from "../../model/tensors";
import type { Engine } from "../engine";
import { openPrograms } from "../open-programs";
import { openGraphProgram } from "./graph-program";
import { loadOnnxRuntime } from "./runtime";

export async function openOnnx(options: { threads?: number; verbose?: boolean }): Promise<Engine> {
  const runtime = loadOnnxRuntime();
  const threads = options.threads ?? availableParallelism();
  const sessionOptions = {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    // A pattern is one block for each size of the inputs, beside the arena that the first run of that size has filled.
    enableMemPattern: false,
    // Threads that spin after a run take the core from the update on the host and from the next session's threads.
    extra: { session: { force_spinning_stop: "1" } },
    logSeverityLevel: options.verbose ? 2 : 3,
  };
  const programs = openPrograms();
  let saturated: Promise<boolean> | undefined;
  return {
    name: "onnx",
    summary: `onnx (onnxruntime ${runtime.env.versions.node ?? "of unknown version"}, cpu, ${threads} threads)`,
    device: "cpu",
    threads,
    precision: "float32",
    async load<E extends string>(
      state: HostTensors,
      entries: Readonly<Record<E, EntryPoint>>,
      axes?: Readonly<Partial<Record<E, DynamicAxes>>>,
    ) {
      // Loaded by the first program that is traced: what was lowered before does without tfjs.
      const { registerGradients } = await import("../eager.js");
      await registerGradients();
      const { loadOnnxProgram } = await import("./program.js");
      return programs.counted(loadOnnxProgram<E>(runtime, sessionOptions, state, entries, axes));
    },
    async saturates() {
      const saturation = await import("./saturation.js"); // writes a model, which float32 does without
      saturated ??= saturation.saturates(runtime, sessionOptions);
      return saturated;
    },
    openGraph: async (file) => programs.counted(await openGraphProgram(runtime, sessionOptions, file)),
    tensorCount: () => programs.count(),
    dispose: () => undefined,
  };
}
