// onnxruntime's CUDA provider: which of NVIDIA's libraries are found where, and `engine install onnx-cuda` against stand-ins for
// pip and the loader's cache. No GPU, and nothing of NVIDIA's.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { cudaBuildName, cudaBuilds, locateCuda, onnxruntimePackage } from "../../../src/engines/onnx/cuda/builds";
import { checkBuild, installCuda, nvidiaRequirements } from "../../../src/engines/onnx/cuda/install";
import { cudaFamilies, findCudaLibraries } from "../../../src/engines/onnx/cuda/libraries";
import { ExitCode } from "../../../src/errors/errors";
import { temporaryFolder } from "../../files/temporary-folder";
import { unless } from "../../skips";
import { writeTools, writeWheel } from "../tensorflow/fake-tools";

const present = onnxruntimePackage();
const here = process.platform === "linux" && process.arch === "x64";
const missing = !here ? "it needs Linux on x64" : present === null && "onnxruntime-node is not installed";
const describeCuda = unless(missing).describe;
const version = present?.version ?? "";
const name = cudaBuildName(version);
const environment = { ...process.env };

const PROVIDER_WHEEL = `onnxruntime_gpu-${version}-cp312-cp312-manylinux_2_28_x86_64.whl`;
const providers = {
  "onnxruntime/capi/libonnxruntime_providers_cuda.so": "cuda ".repeat(200),
  "onnxruntime/capi/libonnxruntime_providers_shared.so": "shared",
  "onnxruntime/capi/libonnxruntime_providers_tensorrt.so": "not this one",
  "onnxruntime/__init__.py": "raise SystemExit('never run')",
};
const requires = [
  'nvidia-cuda-runtime~=13.0; extra == "cuda"',
  'nvidia-cufft~=12.0; extra == "cuda"',
  'nvidia-cudnn-cu13~=9.0; extra == "cudnn"',
  'sympy; extra == "symbolic"',
  "numpy>=1.21.6",
  "nvidia-cublas", // of NVIDIA's packages: the stand-in says the same of all
];
/** What each wheel of NVIDIA's has in nvidia/cu13/lib. */
const nvidia: Readonly<Record<string, readonly string[]>> = {
  nvidia_cuda_runtime: ["libcudart.so.13"],
  nvidia_cufft: ["libcufft.so.12"],
  nvidia_cudnn_cu13: ["libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn.so.9"],
  nvidia_cublas: ["libcublasLt.so.13", "libcublas.so.13"],
};
const sonames = (required: boolean) =>
  cudaFamilies.filter((family) => family.required || !required).flatMap((family) => family.sonames);

let folder: string;
let cache: string;
beforeEach(async () => {
  folder = temporaryFolder();
  cache = path.join(folder, "cache");
  const index = path.join(folder, "index");
  await writeWheel(index, PROVIDER_WHEEL, providers);
  for (const [wheel, libraries] of Object.entries(nvidia)) {
    const entries = Object.fromEntries(libraries.map((library) => [`nvidia/cu13/lib/${library}`, library]));
    await writeWheel(index, `${wheel}-13.0.1-py3-none-manylinux2014_x86_64.whl`, entries);
  }
  writeFileSync(path.join(index, "requires.json"), JSON.stringify(requires));
  const bin = writeTools(path.join(folder, "bin"), ["python3"]);
  Object.assign(process.env, {
    ...{ FAKE_INDEX: index, FAKE_LOG: path.join(folder, "pip.log"), FLEXBERT_CACHE: cache, PATH: bin },
    ...{ LD_LIBRARY_PATH: "", FLEXBERT_ONNX_CUDA: "", FLEXBERT_PYTHON: "" },
  });
  loader([]);
});
afterEach(() => {
  for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
  Object.assign(process.env, environment);
});

/** The loader's cache: ldconfig lists these files. */
function loader(files: readonly string[]): void {
  const lines = files.map((file) => `\t${path.basename(file)} (libc6,x86-64) => ${file}`);
  program("ldconfig", ["2 libs found in cache", ...lines]);
}

function program(file: string, lines: readonly string[]): string {
  const target = path.join(folder, "bin", file);
  writeFileSync(target, `#!/bin/sh\n${lines.map((line) => `echo '${line}'\n`).join("")}`, { mode: 0o755 });
  return target;
}

function libraries(place: string, names: readonly string[]): string[] {
  mkdirSync(path.join(folder, place), { recursive: true });
  const files = names.map((library) => path.join(folder, place, library));
  for (const file of files) writeFileSync(file, "");
  return files;
}

const install = (options: Partial<Parameters<typeof installCuda>[0]> = {}) =>
  installCuda({ cache, log: () => undefined, check: async () => {}, ...options });

function located(): { library: string; preload: readonly string[] } | Error {
  try {
    return locateCuda();
  } catch (error) {
    return error as Error;
  }
}

unless(!here && "it needs Linux on x64").describe("NVIDIA's libraries", () => {
  test("of each family one folder is taken, a build's before the loader's and Python's, in the order of loading", () => {
    const build = libraries("build/nvidia/cu13/lib", ["libcudart.so.13"]);
    const variable = libraries("ld", ["libcudart.so.13", "libcurand.so.10", "libcublas.so.13"]);
    const loaded = libraries("lib", ["libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10"]);
    const packages = libraries("site/nvidia/cudnn/lib", [
      ...["libcudnn.so.9", "libcudnn_ops.so.9", "libcudnn_graph.so.9", "libcudnn_ops_train.so.8"],
    ]);
    process.env["LD_LIBRARY_PATH"] = path.join(folder, "ld");
    loader(loaded);
    process.env["FLEXBERT_PYTHON"] = program("another-python", ["", path.join(folder, "site")]);
    const found = findCudaLibraries(path.join(folder, "build"));
    const [cublas, cublasLt] = loaded;
    const [cudnn, ops, graph] = packages;
    expect(found.preload).toEqual([build[0], cublasLt, cublas, variable[1], graph, ops, cudnn]);
    expect(found.missing.flatMap((family) => family.sonames)).toEqual(["libcufft.so.12", "libnvrtc.so.13"]);
  });

  test("where there are none, all are missing, and no program has to be there", () => {
    process.env["PATH"] = path.join(folder, "nowhere");
    process.env["FLEXBERT_PYTHON"] = path.join(folder, "nowhere/python");
    // /sbin/ldconfig may run then: the machine's own libraries are its business.
    expect(() => findCudaLibraries(null)).not.toThrow();
  });

  test("requirements of the extras cuda and cudnn, and of NVIDIA's own packages", () => {
    const extras = nvidiaRequirements(requires, /extra\s*==\s*['"](cuda|cudnn)['"]/);
    expect(extras).toEqual(["nvidia-cuda-runtime~=13.0", "nvidia-cufft~=12.0", "nvidia-cudnn-cu13~=9.0"]);
    expect(nvidiaRequirements(["nvidia-cublas (<14,>=13)", "numpy"], null)).toEqual(["nvidia-cublas<14,>=13"]);
  });
});

describeCuda("engine install onnx-cuda", () => {
  test("brings the providers, what the machine lacks, and a copy of onnxruntime-node's library", async () => {
    loader(libraries("lib", ["libcurand.so.10", "libnvrtc.so.13"]));
    const { build, installed } = await install();
    expect(installed).toBe(true);
    expect(build).toMatchObject({ name, onnxruntime: version, problem: null });
    expect(readdirSync(build.folder).sort()).toEqual([
      ...["build.json", "libonnxruntime.so.1", "libonnxruntime_providers_cuda.so"],
      ...["libonnxruntime_providers_shared.so", "nvidia"],
    ]);
    expect(readFileSync(path.join(build.folder, "libonnxruntime_providers_shared.so"), "utf8")).toBe("shared");
    const brought = Object.values(nvidia).flat().sort();
    expect(readdirSync(path.join(build.folder, "nvidia/cu13/lib")).sort()).toEqual(brought);
    expect(build.wheels.map(({ file }) => file.split("-")[0]).sort()).toEqual(
      [...Object.keys(nvidia), "onnxruntime_gpu"].sort(),
    );
    expect(readdirSync(path.join(cudaBuilds.folder(cache), ".installing"))).toEqual([]);
    const { library, preload } = locateCuda();
    expect(library).toBe(path.join(build.folder, "libonnxruntime.so.1"));
    expect(preload.map((file) => path.basename(file))).toEqual([
      ...["libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcufft.so.12"],
      ...["libnvrtc.so.13", "libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn.so.9"],
    ]);
  });

  test("brings nothing of NVIDIA's where the machine has all, and repeated does nothing", async () => {
    loader(libraries("lib", sonames(false)));
    const { build } = await install();
    expect(build.wheels).toHaveLength(1);
    expect(existsSync(path.join(build.folder, "nvidia"))).toBe(false);
    const calls = readFileSync(path.join(folder, "pip.log"), "utf8");
    expect((await install()).installed).toBe(false);
    expect(readFileSync(path.join(folder, "pip.log"), "utf8")).toBe(calls);
    expect((await install({ force: true })).installed).toBe(true);
  });

  test("--from takes both providers out of a folder, asks no pip, and refuses a folder without them", async () => {
    const from = path.join(folder, "providers");
    libraries("providers", ["libonnxruntime_providers_cuda.so"]);
    await expect(install({ from })).rejects.toMatchObject({
      exitCode: ExitCode.usage,
      message: expect.stringMatching(/providers holds no libonnxruntime_providers_shared\.so/),
    });
    expect(existsSync(cache)).toBe(false);
    libraries("providers", ["libonnxruntime_providers_shared.so"]);
    const { build } = await install({ from });
    expect(build).toMatchObject({ problem: null, wheels: [] });
    expect(existsSync(path.join(folder, "pip.log"))).toBe(false);
  });

  test("an index without this version's wheel says so, and nothing is left", async () => {
    rmSync(path.join(folder, "index", PROVIDER_WHEEL));
    await expect(install()).rejects.toMatchObject({
      exitCode: ExitCode.usage,
      message: expect.stringContaining(`no wheel of onnxruntime-gpu==${version}`),
    });
    expect(cudaBuilds.list(cache)).toEqual([]);
    expect(cudaBuilds.stopped(cache)).toEqual([]);
  });

  test("removal takes the build", async () => {
    loader(libraries("lib", sonames(false)));
    await install();
    await cudaBuilds.remove(name, cache);
    expect(cudaBuilds.find(name, cache)).toBeNull();
    expect(readdirSync(cudaBuilds.folder(cache))).toEqual([".installing"]);
  });
});

describeCuda("what CUDA takes", () => {
  const refusal = (message: RegExp) =>
    expect(located()).toMatchObject({
      name: "UserError",
      exitCode: ExitCode.engineAbsent,
      message: expect.stringMatching(message),
    });

  test("no build: the command that brings it", () => {
    refusal(/CUDA provider is not installed\. Run: flexbert engine install onnx-cuda$/);
  });

  test("a damaged build, one of another version, and a library that went are named", async () => {
    loader(libraries("lib", sonames(true)));
    const { build } = await install();
    expect(located()).toMatchObject({ library: path.join(build.folder, "libonnxruntime.so.1") });
    loader([]);
    refusal(/needs libcudart\.so\.13, libcublasLt\.so\.13, .*, libcudnn\.so\.9: not in .*onnx-cuda --force$/);
    const manifest = path.join(build.folder, "build.json");
    const written = readFileSync(manifest, "utf8");
    writeFileSync(manifest, written.replace(`"onnxruntime": "${version}"`, '"onnxruntime": "1.2.3"'));
    refusal(/CUDA provider is of 1\.2\.3, and onnxruntime-node is /);
    writeFileSync(manifest, written);
    writeFileSync(path.join(build.folder, "libonnxruntime_providers_cuda.so"), "cut");
    refusal(/cannot be used: libonnxruntime_providers_cuda\.so has 3 bytes, not 1000\. .*--force$/);
  });

  test("FLEXBERT_ONNX_CUDA names a folder, of this version", async () => {
    loader(libraries("lib", sonames(false)));
    const named = path.join(folder, "named");
    process.env["FLEXBERT_ONNX_CUDA"] = named;
    libraries("named", ["libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"]);
    refusal(/FLEXBERT_ONNX_CUDA names .*named, which holds no libonnxruntime\.so\.1\./);
    writeFileSync(path.join(named, "libonnxruntime.so.1"), "\0VERS_1.2.3\0");
    refusal(/of onnxruntime 1\.2\.3, and onnxruntime-node is .* unset FLEXBERT_ONNX_CUDA$/);
    writeFileSync(path.join(named, "libonnxruntime.so.1"), `\0VERS_${version}\0`);
    expect(located()).toMatchObject({ library: path.join(named, "libonnxruntime.so.1") });
  });

  test("a build is loaded once, and what the loader says is the message", async () => {
    loader(libraries("lib", sonames(true)));
    const from = path.join(folder, "providers");
    libraries("providers", ["libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"]);
    const { build } = await install({ from });
    await expect(checkBuild(build.folder)).rejects.toThrow(/does not load here: .*lib\w+\.so.*(too short|invalid ELF)/);
    loader([]);
    await expect(checkBuild(build.folder)).rejects.toThrow(/needs libcudart\.so\.13, .*, which this machine lacks/);
  });
});
