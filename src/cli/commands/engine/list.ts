// flexbert engine list: the builds in the cache, of TensorFlow and of onnxruntime's CUDA provider.

import { type CudaList, type Installable, listBuilds, listCudaBuilds, requireInstallable } from "../../../api/engines";
import { formatBytes } from "../../../files/atomic";
import { defineCommand } from "../../command";
import { type Terminal, table } from "../../terminal";

export const engineListCommand = defineCommand({
  arguments: [{ name: "[engine]", help: "tensorflow or onnx-cuda; both without it" }],
  options: {},
  examples: ["engine list", "engine list onnx-cuda", "engine list --json"],
  async run(_, terminal, [engine]) {
    const only = engine === undefined ? null : requireInstallable(engine, "list");
    const wanted = (name: Installable) => only === null || only === name;
    const tensorflow = wanted("tensorflow") ? await listBuilds() : null;
    const cuda = wanted("onnx-cuda") ? await listCudaBuilds() : null;
    if (terminal.json) {
      terminal.printJson({ ...(tensorflow && { tensorflow }), ...(cuda && { onnxCuda: cuda }) });
      return;
    }
    printBuilds([...(tensorflow?.builds ?? []), ...(cuda?.builds ?? [])], terminal);
    for (const name of [...(tensorflow?.stopped ?? []), ...(cuda?.stopped ?? [])])
      terminal.print(`${name}: its install or removal was stopped or is under way; repeat it to go on`);
    if (tensorflow) {
      const { taken, absence, remedy } = tensorflow;
      const source = taken?.from === "package" ? "the registry's package" : (taken?.from ?? "");
      terminal.print(
        taken ? `--engine tensorflow takes ${source}: ${taken.addon}` : `tensorflow is absent: ${absence}. ${remedy}`,
      );
    }
    // Who never installed it has another engine: what is absent says so where it was asked for.
    if (cuda && (only !== null || cuda.builds.length > 0 || cuda.taken)) printCuda(cuda, terminal);
  },
});

type Listed = {
  readonly name: string;
  readonly bytes: number;
  readonly problem: string | null;
  readonly folder: string;
};

function printBuilds(builds: readonly Listed[], terminal: Terminal): void {
  if (builds.length === 0) return;
  const rows = builds.map((build) => [build.name, formatBytes(build.bytes), build.problem ?? "", build.folder]);
  terminal.print(`${table(["build", "size", "", "folder"], rows)}\n`);
}

const printCuda = ({ taken, absence }: CudaList, terminal: Terminal) =>
  terminal.print(
    taken ? `CUDA of the onnx engine takes ${taken.library}` : `CUDA of the onnx engine is absent: ${absence}`,
  );
