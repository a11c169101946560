// A run with dropout, killed with SIGKILL at twenty random points and resumed each time, ends with weights byte-equal
// to an undisturbed run's. In child processes: nothing of the killed one can help.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { words } from "../../src/random/threefry";
import { describeEachEngine } from "../engines/engines";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const KILLS = 20;
const bin = path.join(__dirname, "../../bin/flexbert.js");

describeEachEngine("twenty kills", (_, engine) => {
  const cwd = temporaryFolder();

  test("leave no trace in the weights", async () => {
    writeTinyGlue(path.join(cwd, "glue-data"), 64);
    await writeBase(tinyBase("tiny", { dropout: 0.1 }), path.join(cwd, "tiny"));
    const args = (checkpoints: string) => [
      ...["finetune", "--task", "rte", "--k", "2", "--base", "./tiny", "--max-length", "32", "--batch-size", "8"],
      ...[
        "--epochs",
        "40",
        "--learning-rate",
        "1e-3",
        "--save-every",
        "0",
        "--engine",
        engine,
        "--checkpoints",
        checkpoints,
      ],
    ];
    const timed = () => {
      const begun = performance.now();
      expect(flexbert(args("alone"), { cwd }).status).toBe(0);
      return performance.now() - begun;
    };
    const whole = timed();
    const startup = timed(); // finished already: all that is left is starting
    // From before training begins to a fourteenth of it: twenty of them end before the run does, at any machine's speed.
    const reach = startup / 2 + Math.max(0, whole - startup) / 14;
    const delays = Array.from(words({ high: 2026, low: 11 }, KILLS), (word) => startup / 2 + (word / 2 ** 32) * reach);
    let kills = 0;
    for (const delay of delays) {
      const child = spawn(process.execPath, [bin, ...args("killed")], { cwd, stdio: "ignore" });
      const exited = new Promise<boolean>((resolve) => child.once("exit", (code) => resolve(code === 0)));
      const finished = await Promise.race([exited, sleep(delay, null)]);
      if (finished === null) {
        child.kill("SIGKILL");
        await exited;
        kills++;
      }
    }
    // Otherwise the run ended too early to be disturbed: give it more epochs.
    expect(kills).toBeGreaterThanOrEqual(KILLS - 5);
    const resumed = flexbert(args("killed"), { cwd });
    expect(resumed.status).toBe(0);

    const read = (checkpoints: string, file: string) => {
      const folder = path.join(cwd, checkpoints, "tiny/rte/finetune");
      const [name = ""] = readdirSync(folder);
      return readFileSync(path.join(folder, name, file));
    };
    expect(read("killed", "model.safetensors").equals(read("alone", "model.safetensors"))).toBe(true);
    expect(read("killed", "metrics.jsonl").toString()).toBe(read("alone", "metrics.jsonl").toString());
  }, 300_000);
});
