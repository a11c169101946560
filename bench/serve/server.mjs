// `flexbert serve` as a process of the benches: its address, its metrics, its log, and its end.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { saturate } from "./client.mjs";

export const bin = fileURLToPath(new URL("../../bin/flexbert.js", import.meta.url));

/** A process that says its address in its first line of JSON. @param log what takes its stderr; none: nobody */
export async function start(args, log) {
  if (log) mkdirSync(path.dirname(log), { recursive: true });
  const stderr = log ? openSync(log, "w") : "ignore";
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", stderr] });
  if (log) closeSync(stderr);
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return { ...JSON.parse(line), pid: child.pid, exited, stop: () => stop(child, exited) };
  }
  throw new Error(`${args.join(" ")} ended with ${await exited}`);
}

/** @returns its exit code, or what killed it */
export async function stop(child, exited) {
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const code = await exited;
  clearTimeout(late);
  return code;
}

/** @param flags more of serve's. @param node flags of the HTTP process's own node */
export async function serve({ merged, weights, workers, threads, flags = [], node = [], log }) {
  const layout = [...(workers ? ["--workers", workers] : []), ...(threads ? ["--threads", threads] : [])];
  const auth = flags.includes("--tokens") ? [] : ["--no-auth"];
  const asked = ["--merged", merged, "--port", "0", "--json", "--weights", weights, ...layout, ...auth, ...flags];
  const server = await start([...node, bin, "serve", ...asked, ...(log ? [] : ["--quiet"])], log);
  return { ...server, metrics: (token) => readMetrics(server.url, token) };
}

/** What a server can do: of one like it whose queue is never full, so that none of its time goes into refusing. */
export async function capacityOf(options, job, seconds) {
  const endless = await serve({
    ...options,
    log: undefined,
    node: [],
    flags: [...(options.flags ?? []), "--max-delay-ms", "60000"],
  });
  const { perSecond } = await saturate({ ...job, url: endless.url }, { connections: 12 * endless.processes, seconds });
  await endless.stop();
  return perSecond;
}

/** Makes a token in a file. */
export const newToken = (file, name, ...flags) => {
  const args = [bin, "serve", "--new-token", name, "--tokens", file, "--json", ...flags];
  return JSON.parse(execFileSync(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] })).token;
};

/** Of each sample its value, by name and labels as they are written. */
async function readMetrics(url, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const text = await (await fetch(`${url}/metrics`, { headers })).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

/** Of a server's HTTP process and the inference processes under it, memory that each shares with nobody: [name, MB]. None but on Linux. */
export function privateMegabytes(pid) {
  if (process.platform !== "linux") return [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return [["HTTP", pid], ...children.map((child) => [`inference ${child}`, child])].map(([name, one]) => [
    name,
    privateOf(one),
  ]);
}

function privateOf(pid) {
  const found = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").matchAll(/^Private_\w+: +(\d+) kB$/gm);
  return [...found].reduce((sum, [, kilobytes]) => sum + Number(kilobytes), 0) / 1024;
}

/** Encoder layers that ran of each token, by a server's metrics; and of a run of each task's whole model. */
export function layersRun(metrics) {
  const of = (kind) => metrics[`flexbert_layer_tokens_total{kind="${kind}"}`] / metrics.flexbert_tokens_total;
  return { run: of("run"), naive: of("naive") };
}

/** Lines of a server's log that tell of an answer. */
export const answersIn = (log) =>
  readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.includes('"msg":"answered"'))
    .map((line) => JSON.parse(line));

export const percentile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
};

export const median = (values) => percentile(values, 0.5);
