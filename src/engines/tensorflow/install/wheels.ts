// Which wheels an install takes: TensorFlow's own, and of the CUDA libraries those that it names.

import { failure, usageError } from "../../../errors/errors";
import { compareVersions, type Flavour, thisPlatform } from "./builds";
import { NoWheelError, type PipContext, resolveWheels, type Wheel, type WheelTag } from "./pip";

/**
 * The library inside is the same for every Python, and Python does not run it: any tag that exists will do. One and the
 * same first, so that all users get the same file; then the user's own, which an index of their own may hold alone.
 */
export async function resolveTensorflow(version: string, flavour: Flavour, context: PipContext) {
  const { python } = context;
  // On arm64 the package without -cpu is the one for the CPU.
  const name = flavour === "cpu" && process.arch === "x64" ? "tensorflow-cpu" : "tensorflow";
  const requirement = `${name}==${version}`;
  const own = python.version.join(".");
  const known = new Set<string>();
  for (const candidate of new Set(["3.12", own, "3.11", "3.13", "3.10", "3.9"])) {
    const tag: WheelTag = { python: candidate, platforms: platforms() };
    try {
      const [tensorflow] = await resolveWheels([requirement], tag, context);
      if (tensorflow) return { tensorflow: sameVersion(tensorflow, version), tag };
    } catch (error) {
      if (!(error instanceof NoWheelError)) throw error;
      for (const other of error.versions) known.add(other);
    }
  }
  const newest = [...known]
    .filter((known) => /^[\d.]+$/.test(known))
    .sort(compareVersions)
    .slice(-6)
    .join(", ");
  throw usageError(
    `pip's index has no wheel of ${requirement} for ${thisPlatform()} and Python 3.9 to 3.13. ${newest ? `It has ${newest}: choose with --version` : `It has none of ${name}: see which index it is with ${python.command} -m pip config list`}`,
  );
}

/** pip takes 2.021.0 and 2.21.0.0 for 2.21.0; a build has one name. */
function sameVersion(tensorflow: Wheel, version: string): Wheel {
  if (tensorflow.version === version) return tensorflow;
  throw usageError(`--version ${version} is TensorFlow ${tensorflow.version}. Give --version ${tensorflow.version}`);
}

/** Newest first, down to the oldest that manylinux names by glibc, and its old alias. */
function platforms(): string[] {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const minors = Array.from({ length: Math.max(0, (glibcMinor() ?? 17) - 16) }, (_, i) => 17 + i).reverse();
  return [...minors.map((minor) => `manylinux_2_${minor}_${machine}`), `manylinux2014_${machine}`];
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

/** 36 for glibc 2.36; null on another C library. */
export function glibcMinor(): number | null {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return Number(/^2\.(\d+)/.exec(header.glibcVersionRuntime ?? "")?.[1] ?? Number.NaN) || null;
}
