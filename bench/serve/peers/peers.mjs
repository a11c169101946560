// Other ways to serve the tasks of a merged folder, each a process with the address of `flexbert serve`.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, openSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bin, start, stop } from "../server.mjs";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const flexbert = (...args) =>
  execFileSync(process.execPath, [bin, ...args, "--quiet"], { stdio: ["ignore", "ignore", "inherit"] });

/** Each task's model in an onnxruntime session of its own, no batching, the same HTTP server. */
export async function separate({ merged, glue, out, threads }, tasks) {
  const folder = path.join(out, "separate");
  for (const { name } of tasks) {
    const to = path.join(folder, name);
    if (existsSync(path.join(to, "model.onnx"))) continue;
    flexbert("export", "onnx", "--merged", merged, "--task", name, "--out", to, "--glue-data", glue);
  }
  return start([here("separate-server.mjs"), merged, folder, threads]);
}

export const litserve = (values, tasks) => python("litserve-server.py", values.litserve, values, tasks);
export const infinity = (values, tasks) => python("infinity-server.py", values.infinity, values, tasks);

/** @param program a Python that has the server's packages */
async function python(script, program, { merged, glue, out, threads }, tasks) {
  const folder = path.resolve(out, "transformers");
  if (!existsSync(folder))
    flexbert("export", "transformers", "--merged", merged, "--out", folder, "--python", program, "--glue-data", glue);
  const list = path.resolve(out, "tasks.json");
  writeFileSync(list, JSON.stringify(tasks.map(({ name, inputs, kind }) => ({ name, inputs, kind: kind.name }))));
  const log = path.join(out, `${script}.log`);
  const port = await freePort();
  const args = [here(script), folder, list, String(port), threads];
  const env = {
    ...process.env,
    OMP_NUM_THREADS: threads,
    HF_HUB_OFFLINE: "1",
    TOKENIZERS_PARALLELISM: "false",
    USE_TF: "0",
  };
  const child = spawn(program, args, { stdio: ["ignore", "ignore", openSync(log, "w")], detached: true, env });
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const url = `http://127.0.0.1:${port}`;
  while (!(await isUp(`${url}/health`))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${script} ended with ${child.exitCode ?? child.signalCode}: ${log} says why`);
    await sleep(200);
  }
  // Its workers are processes of its group.
  const group = { kill: (signal) => process.kill(-child.pid, signal) };
  return { url, stop: () => stop(group, exited) };
}

const isUp = (url) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
