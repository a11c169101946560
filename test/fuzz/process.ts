// Runs a command line as a process of its own, as a user would.

import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { bin } from "../cli/flexbert";
import type { CommandLine, Ended, Runner } from "./host";
import type { Workspace } from "./workspace";

/** A machine on which everything runs at once takes its time: what never ends is ended after these milliseconds. */
const PATIENCE = 600_000;

export const processes = ({ folder, env }: Workspace): Runner => ({
  terminals: false,
  async run({ args, stdin = new Uint8Array() }: CommandLine): Promise<Ended> {
    const peak = path.join(path.dirname(folder), `${path.basename(folder)}-peak.json`);
    rmSync(peak, { force: true });
    const child = spawn(process.execPath, ["--require", path.join(__dirname, "peak.cjs"), bin, ...args], {
      cwd: folder,
      env: { ...process.env, ...env, FLEXBERT_TEST_PEAK: peak },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: PATIENCE,
      killSignal: "SIGKILL",
    });
    const written = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        written[name] += text;
      });
    }
    child.stdin.on("error", () => undefined); // a command that needs no stdin has ended
    child.stdin.end(Buffer.from(stdin));
    const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.once("close", (code, by) => resolve([code, by])),
    );
    if (status === null) return { status, ...written, stderr: `it was ended by ${signal}\n`, seconds: 0, peakBytes: 0 };
    const usage = JSON.parse(readFileSync(peak, "utf8")) as Pick<Ended, "seconds" | "peakBytes">;
    rmSync(peak);
    return { status, ...written, ...usage };
  },
  close: async () => undefined,
});
