// What can compute beside the processor, asked in a process of its own: a broken driver ends whoever calls it, or never
// answers.

import path from "node:path";
import { describeEnd, runChild } from "../../../files/child";

/** As the driver says it; "cpu" is a program that plays a GPU (SwiftShader, llvmpipe). */
export type AdapterType = "discrete" | "integrated" | "virtual" | "cpu" | "other";

export interface Adapter {
  readonly name: string;
  readonly type: AdapterType;
  readonly vendor: string;
  /** With its version. */
  readonly api: string;
  /** Name and version; null where the driver does not say. */
  readonly driver: string | null;
  /** Its own memory; shared with the processor where it is part of one. */
  readonly memoryBytes: number;
  readonly limits: {
    /** Bytes of a buffer that a shader sees. */
    readonly maxStorageBufferRange: number;
    readonly maxPerStageDescriptorStorageBuffers: number;
    readonly maxComputeWorkGroupInvocations: number;
    readonly maxComputeWorkGroupSize: readonly number[];
  };
}

/** Hardware, and not a program that plays it. */
export const isReal = ({ type }: Pick<Adapter, "type">): boolean => type !== "cpu";

export type ProbeName = "vulkan" | "webgpu" | "cuda";

/** What a probe found, or why it found nothing. */
export type Probed<T> = { readonly found: T } | { readonly problem: string };

/** As it was compiled, where this file is run from its source too. */
const ENTRY = path.resolve(__dirname, "../../../../dist/engines/onnx/device/probe-process.js");
/** A driver that has to be woken takes seconds, and a software device compiles its shaders in as many. */
const LIMIT_MS = 60_000;

let listed: Promise<Probed<readonly Adapter[]>> | undefined;

/** The adapters that Vulkan's loader lists, asked once; none is no problem. */
export function vulkanAdapters(): Promise<Probed<readonly Adapter[]>> {
  listed ??= probe("vulkan");
  return listed;
}

/** Whether a device computes: a tiny graph is run on it. */
export const tryDevice = (device: "webgpu" | "cuda"): Promise<Probed<{ readonly summary: string }>> => probe(device);

async function probe<T>(name: ProbeName): Promise<Probed<T>> {
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env["NODE_OPTIONS"]; // a debugger or a preload of the parent's
  const child = await runChild(process.execPath, [ENTRY, name], { env, timeoutMs: LIMIT_MS });
  // Not all of stdout: a driver may write there too.
  const [, answer] = /^flexbert-probe (.*)$/m.exec(child.stdout) ?? [];
  if (answer !== undefined) return JSON.parse(answer) as Probed<T>;
  if (child.signal === "SIGKILL") return { problem: `the driver did not answer within ${LIMIT_MS / 1000} s` };
  return { problem: describeEnd(child) };
}
