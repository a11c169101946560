// Where the CUDA provider and the CUDA libraries that it needs are.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

const ORDER = [
  "libcudart.so",
  "libcublasLt.so",
  "libcublas.so",
  "libcurand.so",
  "libcufft.so",
  "libnvrtc.so",
  "libcudnn.so",
  "libcudnn_",
];

export function locateCuda(): { readonly library: string; readonly preload: readonly string[] } {
  const folder = process.env["FLEXBERT_ONNX_CUDA"];
  if (!folder) throw new Error("FLEXBERT_ONNX_CUDA names no folder");
  const found = execFileSync("python3", ["-c", "import nvidia; print(list(nvidia.__path__)[0])"], {
    encoding: "utf8",
  }).trim();
  const files = readdirSync(found)
    .flatMap((name) => [path.join(found, name, "lib")])
    .filter((lib) => existsSync(lib))
    .flatMap((lib) => readdirSync(lib).map((file) => path.join(lib, file)));
  const preload = ORDER.flatMap((prefix) =>
    files.filter((file) => path.basename(file).startsWith(prefix) && /\.so\.\d+$/.test(file)),
  );
  return { library: path.join(folder, "libonnxruntime.so.1"), preload };
}
