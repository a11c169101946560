// NVIDIA's libraries that onnxruntime's CUDA provider is linked to or opens by name. Loaded before it, they are found by
// their soname, wherever they lie: no LD_LIBRARY_PATH, and no Python.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { onPath } from "../../install/system-packages";

/** Libraries of one package of NVIDIA's, which are taken from one folder: their parts must be of one version. */
export interface CudaFamily {
  /** In the order of loading: what comes later needs what comes before. */
  readonly sonames: readonly string[];
  /** Its wheel's name: nvidia-cublas, and nvidia-cudnn-cu13 with CUDA's version. */
  readonly wheel: RegExp;
  /** False for what the provider opens late, for operators that no graph here has (Fourier transforms), or cuDNN may. */
  readonly required: boolean;
}

/** Of CUDA 13, in the order of loading. */
export const cudaFamilies: readonly CudaFamily[] = [
  { sonames: ["libcudart.so.13"], wheel: /^nvidia-cuda-runtime(-cu13)?$/, required: true },
  { sonames: ["libcublasLt.so.13", "libcublas.so.13"], wheel: /^nvidia-cublas(-cu13)?$/, required: true },
  { sonames: ["libcurand.so.10"], wheel: /^nvidia-curand(-cu13)?$/, required: true },
  { sonames: ["libcufft.so.12"], wheel: /^nvidia-(cufft|nvjitlink)(-cu13)?$/, required: false },
  { sonames: ["libnvrtc.so.13"], wheel: /^nvidia-cuda-nvrtc(-cu13)?$/, required: false },
  { sonames: ["libcudnn_graph.so.9", "libcudnn.so.9"], wheel: /^nvidia-cudnn(-cu13)?$/, required: true },
];

/** cuDNN opens its parts by name when it first needs one. */
const cudnnPart = /^libcudnn_\w+\.so\.9$/;

export interface FoundLibraries {
  /** Absolute paths in the order of loading. */
  readonly preload: readonly string[];
  readonly missing: readonly CudaFamily[];
}

/** Looks in the folders of a build first, then where the dynamic loader looks, then in Python's packages. */
export function findCudaLibraries(build: string | null): FoundLibraries {
  const places = [
    () => (build === null ? [] : nvidiaFolders([build])),
    loaderVariable,
    loaderCache,
    () => nvidiaFolders(pythonPackages()),
  ];
  const found = new Map<CudaFamily, string>();
  for (const place of places) {
    const wanted = cudaFamilies.filter((family) => !found.has(family));
    if (wanted.length === 0) break; // the later places run programs
    for (const folder of place()) {
      for (const family of wanted) {
        const whole = family.sonames.every((soname) => existsSync(path.join(folder, soname)));
        if (whole && !found.has(family)) found.set(family, folder);
      }
    }
  }
  return {
    preload: cudaFamilies.flatMap((family) => filesOf(family, found.get(family))),
    missing: cudaFamilies.filter((family) => !found.has(family)),
  };
}

function filesOf({ sonames }: CudaFamily, folder: string | undefined): string[] {
  if (folder === undefined) return [];
  const [first = "", ...rest] = sonames;
  const parts = cudnnPart.test(first) ? readdirSync(folder).filter((name) => cudnnPart.test(name)) : [];
  return [...new Set([first, ...parts.sort(), ...rest])].map((name) => path.join(folder, name));
}

/** nvidia/cu13/lib, nvidia/cudnn/lib and the like, as wheels have it. */
function nvidiaFolders(roots: readonly string[]): string[] {
  return roots.flatMap((root) => {
    const nvidia = path.join(root, "nvidia");
    if (!existsSync(nvidia)) return [];
    return readdirSync(nvidia).map((name) => path.join(nvidia, name, "lib"));
  });
}

const loaderVariable = () =>
  (process.env["LD_LIBRARY_PATH"] ?? "").split(/[:;]/).filter((folder) => path.isAbsolute(folder));

/** The folders of the loader's cache: "libcudart.so.13 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.13". */
function loaderCache(): string[] {
  const program = onPath("ldconfig") ?? "/sbin/ldconfig";
  const { stdout } = spawnSync(program, ["-p"], { encoding: "utf8", timeout: 20_000 });
  const folders = new Set<string>();
  for (const [, file = ""] of (stdout ?? "").matchAll(/\(libc6,x86-64[^)]*\) => (\/.*)$/gm))
    folders.add(path.dirname(file));
  return [...folders];
}

/** Of FLEXBERT_PYTHON, else of python3: where PyTorch is, NVIDIA's wheels are. */
function pythonPackages(): string[] {
  const python = process.env["FLEXBERT_PYTHON"] || "python3";
  const code = "import sys, site; print('\\n'.join([*sys.path, site.getusersitepackages()]))";
  const { status, stdout } = spawnSync(python, ["-c", code], { encoding: "utf8", timeout: 20_000 });
  if (status !== 0) return [];
  return [...new Set(stdout.split("\n").filter((folder) => path.isAbsolute(folder)))];
}
