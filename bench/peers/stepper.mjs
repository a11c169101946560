// Processes that step in turn, for the benchmarks of train steps: a line in, a line out.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A process that does one step a line, which may say what; `environment` is added to its own. */
export async function openStepper(command, args, environment = {}) {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ${args[0]} ended early`);
    return JSON.parse(value);
  };
  const { ready } = await read();
  return {
    ready,
    async step(line = "step") {
      child.stdin.write(`${line}\n`);
      return read();
    },
    close: () =>
      new Promise((resolve) => {
        child.on("exit", resolve);
        child.stdin.end();
      }),
  };
}
