// Which wheels an install takes: TensorFlow's own, and of the CUDA libraries those that it names.

import { failure, usageError } from "../../../errors/errors";
import { resolveForAnyPython } from "../../install/any-python";
import { NoWheelError, type PipContext, resolveWheels, type Wheel, type WheelTag } from "../../install/pip";
import { thisPlatform } from "../../install/platform";
import { compareVersions, type Flavour } from "./builds";

export async function resolveTensorflow(version: string, flavour: Flavour, context: PipContext) {
  // On arm64 the package without -cpu is the one for the CPU.
  const name = flavour === "cpu" && process.arch === "x64" ? "tensorflow-cpu" : "tensorflow";
  const requirement = `${name}==${version}`;
  const found = await resolveForAnyPython(requirement, ["3.11", "3.13", "3.10", "3.9"], context);
  if ("wheel" in found) return { tensorflow: sameVersion(found.wheel, version), tag: found.tag };
  const newest = found.versions
    .filter((known) => /^[\d.]+$/.test(known))
    .sort(compareVersions)
    .slice(-6)
    .join(", ");
  throw usageError(
    `pip's index has no wheel of ${requirement} for ${thisPlatform()} and Python 3.9 to 3.13. ${newest ? `It has ${newest}: choose with --version` : `It has none of ${name}: see which index it is with ${context.python.command} -m pip config list`}`,
  );
}

/** pip takes 2.021.0 and 2.21.0.0 for 2.21.0; a build has one name. */
function sameVersion(tensorflow: Wheel, version: string): Wheel {
  if (tensorflow.version === version) return tensorflow;
  throw usageError(`--version ${version} is TensorFlow ${tensorflow.version}. Give --version ${tensorflow.version}`);
}

export async function resolveCuda(tensorflow: Wheel, tag: WheelTag, context: PipContext): Promise<Wheel[]> {
  const requirements = cudaRequirements(tensorflow.requires);
  if (requirements.length === 0) {
    throw usageError(
      `TensorFlow ${tensorflow.version} names no CUDA libraries to bring. Choose --version 2.15.0 or later, or --cpu`,
    );
  }
  try {
    return await resolveWheels(requirements, tag, context);
  } catch (error) {
    if (!(error instanceof NoWheelError)) throw error;
    throw failure(
      `${error.message} for ${thisPlatform()}, which TensorFlow ${tensorflow.version} needs. Use --cpu`,
      error,
    );
  }
}

/** NVIDIA's packages of the extra and-cuda: 'nvidia-cublas-cu12<13.0,>=12.5; extra == "and-cuda"'. */
export function cudaRequirements(requires: readonly string[]): string[] {
  return requires
    .filter((line) => /^nvidia-/.test(line) && /extra\s*==\s*['"]and-cuda['"]/.test(line))
    .map((line) => (line.split(";")[0] as string).replace(/[()\s]/g, ""));
}
