// Runs the client (load.mjs) in a process of its own.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("load.mjs", import.meta.url));

/** What load.mjs prints of a job. */
export async function load(job) {
  const child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(job));
  let text = "";
  for await (const data of child.stdout) text += data;
  if (text === "") throw new Error("the client ended without a word");
  return JSON.parse(text);
}

/** Warms a server, and says how many requests a second it answers at most: of one that refuses none, for refusing costs time too. */
export async function saturate(job, { connections, seconds }) {
  await load({ ...job, rate: 50, seconds: 2 });
  return load({ ...job, connections, seconds });
}

export const ms = (time) => time?.toFixed(1) ?? "-";
