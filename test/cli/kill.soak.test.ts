// A run with dropout, killed with SIGKILL at twenty random points and resumed each time, ends with weights byte-equal
// to an undisturbed run's. In child processes: nothing of the killed one can help. A share of the soak is twenty kills.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { words } from "../../src/random/threefry";
import { describeEachEngine } from "../engines/engines";
import { soakSeeds } from "../soak";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { bin, flexbert } from "./flexbert";

const KILLS = 20;

describeEachEngine("twenty kills", (_, engine) => {
  const cwd = temporaryFolder();
  const args = (checkpoints: string) =>
    `finetune --task rte --k 2 --base ./tiny --max-length 32 --batch-size 8 --epochs 40 --learning-rate 1e-3 --save-every 0 --engine ${engine} --checkpoints ${checkpoints}`.split(
      " ",
    );
  const read = (checkpoints: string, file: string) => {
    const folder = path.join(cwd, checkpoints, "tiny/rte/finetune");
    const [name = ""] = readdirSync(folder);
    return readFileSync(path.join(folder, name, file));
  };
  const timed = () => {
    const begun = performance.now();
    expect(flexbert(args("alone"), { cwd }).status).toBe(0);
    return performance.now() - begun;
  };

  /** Starts the run, or goes on with it, and kills it after the delay or two epochs; whether it lived so long. */
  async function killed(checkpoints: string, delay: number): Promise<boolean> {
    const child = spawn(process.execPath, [bin, ...args(checkpoints)], { cwd, stdio: ["ignore", "ignore", "pipe"] });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    let log = "";
    const twoEpochs = new Promise((resolve) =>
      child.stderr.on("data", (text) => {
        log += text;
        if ((log.match(/epoch \d+,/g) ?? []).length >= 2) resolve(null);
      }),
    );
    await Promise.race([exited, twoEpochs, sleep(delay)]);
    const lives = child.exitCode === null && child.kill("SIGKILL");
    await exited;
    return lives;
  }

  let [whole, startup] = [0, 0];
  beforeAll(async () => {
    writeTinyGlue(path.join(cwd, "glue-data"), 64);
    await writeBase(tinyBase("tiny", { dropout: 0.1 }), path.join(cwd, "tiny"));
    whole = timed();
    startup = timed(); // finished already: all that is left is starting
  });

  test.each(soakSeeds)("leave no trace in the weights (share %i)", async (seed) => {
    // From before training begins to a fourteenth of it, or two epochs where the machine has become faster since: twenty
    // of them end before the run does.
    const reach = startup / 2 + Math.max(0, whole - startup) / 14;
    const draws = words({ high: 2026, low: 10 + seed }, KILLS);
    let kills = 0;
    for (const draw of draws) if (await killed(`killed${seed}`, startup / 2 + (draw / 2 ** 32) * reach)) kills++;
    // Otherwise the run ended too early to be disturbed: give it more epochs.
    expect(kills).toBeGreaterThanOrEqual(KILLS - 5);
    const resumed = flexbert(args(`killed${seed}`), { cwd });
    expect(resumed.status).toBe(0);
    for (const file of ["model.safetensors", "metrics.jsonl"]) {
      expect(read(`killed${seed}`, file).equals(read("alone", file))).toBe(true);
    }
  });
});
