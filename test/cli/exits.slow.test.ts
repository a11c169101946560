// Ramps from training to a merged model: predict and eval leave by them, a merged folder takes them along, in stored graphs and traced ones,
// and keeps them through its history.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { startServe } from "../serve/running-server";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const run = (line: string, input = "") =>
  flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: path.join(cwd, "cache") }, input });
function done(line: string, input = "") {
  const { status, stdout, stderr } = run(line, input);
  expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
  return { stdout, stderr };
}
const json = (line: string) => JSON.parse(done(`${line} --json`).stdout);

interface Row {
  readonly text: string;
  readonly predictions: Readonly<
    Record<string, { readonly score: number; readonly label: string; readonly exit_layer?: number }>
  >;
}
const texts = ["a good film", "bad book", "the rather long dull film was not very good", "she read", "he saw it"].join(
  "\n",
);
const predicted = (line: string): Row[] =>
  done(`predict ${line} --task sst2 --format jsonl`, texts)
    .stdout.trim()
    .split("\n")
    .map((row) => JSON.parse(row));
const layersOf = (rows: readonly Row[]) => rows.map(({ predictions }) => predictions["sst2"]?.exit_layer);
const scoresOf = (rows: readonly Row[]) => rows.map(({ predictions }) => predictions["sst2"]?.score as number);
function near(found: readonly number[], wanted: readonly number[]): void {
  for (const [i, score] of found.entries()) expect(score).toBeCloseTo(wanted[i] as number, 5);
}

let model: string;
let plain: string;

beforeAll(() => {
  return writeBase(tinyBase("tiny"), path.join(cwd, "tiny")).then(() => {
    writeTinyGlue(path.join(cwd, "glue-data"), 40, 60);
    const training = "--epochs 3 --learning-rate 5e-3 --max-length 32 --batch-size 8 --base ./tiny";
    [model] = json(`finetune --task sst2 --k 2 ${training}`).tasks.map((one: { teacher: string }) => one.teacher);
    [plain] = json(`finetune --task rte --k 1 ${training}`).tasks.map((one: { teacher: string }) => one.teacher);
    // Random layers hold little of a text: a budget is kept whatever ramps say.
    done("exits --task sst2 --base ./tiny --epochs 4 --budget 3");
  });
});

describe("a run folder", () => {
  test("leaves early where a rule was decided, and by a threshold of the caller's", () => {
    const off = predicted(`--model ${model} --exit off`);
    expect(layersOf(off)).toEqual(off.map(() => undefined));
    const never = predicted(`--model ${model} --exit 0`);
    expect(layersOf(never)).toEqual(off.map(() => 4));
    near(scoresOf(never), scoresOf(off));
    const always = predicted(`--model ${model} --exit 9`);
    const [first] = layersOf(always);
    expect(first).toBeLessThan(4);
    expect(layersOf(always)).toEqual(off.map(() => first));
    const on = predicted(`--model ${model}`);
    expect(on).toEqual(predicted(`--model ${model} --exit on`));
    expect(done(`predict --model ${model} --exit on`, texts).stderr).toMatch(/sst2: texts leave after layer/);
  });

  test("gives a text in a batch what it gives it alone, at the same layer", () => {
    const together = predicted(`--model ${model}`);
    for (const [i, text] of texts.split("\n").entries()) {
      const [alone] = done(`predict --model ${model} --task sst2 --format jsonl`, text)
        .stdout.trim()
        .split("\n")
        .map((row) => JSON.parse(row) as Row);
      expect(alone?.predictions["sst2"]?.exit_layer).toBe(layersOf(together)[i]);
      expect(alone?.predictions["sst2"]?.score).toBeCloseTo(scoresOf(together)[i] as number, 5);
    }
  });

  test("scores as it leaves, and is scored whole with exits off", () => {
    const scored = (exit: string) => json(`eval --model ${model} ${exit}`)[0].score;
    const [decided] = json("exits --task sst2 --base ./tiny --epochs 4 --budget 3").tasks;
    expect(scored("--exit off")).toBeCloseTo(decided.model.score, 9);
    const point = decided.curve.at(-3);
    expect(scored(`--exit ${point.threshold}`)).toBeCloseTo(point.score, 9);
  });

  test("without ramps says so", () => {
    const { status, stderr } = run(`predict --model ${plain} --exit on`, "a\tb");
    expect(status).toBe(2);
    expect(stderr).toMatch(/--exit on: .*: rte has no ramps \(flexbert exits trains them\)/);
    expect(run(`predict --model ${plain} --exit maybe`).stderr).toMatch(/--exit .*on, off, or a threshold/);
  });

  test("of ramps alone is no model, and names the one that it is of", () => {
    const own = readdirSync(path.join(cwd, "checkpoints/tiny/sst2/exits"));
    const ramps = own.find((name) => !name.endsWith(".json"));
    const { status, stderr } = run(`predict --model checkpoints/tiny/sst2/exits/${ramps} --text a`);
    expect(status).toBe(4);
    expect(stderr).toMatch(/has ramps alone. Give --model with the run that they are ramps of: .*finetune\/k02/);
  });
});

describe("a merged folder", () => {
  const blobs = () => readdirSync(path.join(cwd, "merged/blobs"));
  interface TaskIn {
    readonly name: string;
    readonly exits?: { readonly rule: { readonly threshold: number } };
  }
  const manifest = () => {
    const { current } = JSON.parse(readFileSync(path.join(cwd, "merged/flexbert.json"), "utf8"));
    const file = path.join(cwd, `merged/manifests/${current}.json`);
    return JSON.parse(readFileSync(file, "utf8")) as { readonly tasks: readonly TaskIn[] };
  };

  test("takes the ramps of its runs along, and leaves by them: from stored graphs, and traced", () => {
    done("merge --base ./tiny --no-onnx");
    expect(blobs().filter((name) => /^sst2-ramps-.*safetensors$/.test(name))).toHaveLength(1);
    const alone = predicted(`--model ${model}`);
    for (const engine of ["onnx", "wasm"]) {
      const merged = predicted(`--model merged --engine ${engine}`);
      expect(layersOf(merged)).toEqual(layersOf(alone));
      near(scoresOf(merged), scoresOf(alone));
    }
    expect(layersOf(predicted("--model merged --exit off"))).toEqual(alone.map(() => undefined));
    // A task without ramps goes its way beside one that leaves.
    expect(done("predict --model merged --format jsonl --text a --pair b").stdout).not.toMatch(/exit_layer/);
  });

  test("is served so: on by default, off, and within what its rule allows", async () => {
    const whole = predicted("--model merged --exit off");
    const left = predicted("--model merged");
    const { exits } = manifest().tasks.find(({ name }) => name === "sst2") as TaskIn;
    const { rule } = exits as NonNullable<typeof exits>;
    const server = await startServe(["--merged", path.join(cwd, "merged"), "--workers", "1", "--threads", "1"]);
    const rows = texts.split("\n").map((text) => ({ text, tasks: ["sst2"] }));
    const ask = async (exit?: unknown, given: readonly object[] = rows) => {
      const answer = await fetch(`${server.url}/v1/predict`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ rows: given, ...(exit === undefined ? {} : { exit }) }),
      });
      return { status: answer.status, body: (await answer.json()) as { rows: Row[]; error: { message: string } } };
    };
    try {
      for (const [exit, wanted] of [
        [undefined, left],
        ["on", left],
        [rule.threshold, left],
        ["off", whole],
        [0, predicted("--model merged --exit 0")],
      ] as const) {
        const { body } = await ask(exit);
        expect(layersOf(body.rows)).toEqual(layersOf(wanted));
        near(scoresOf(body.rows), scoresOf(wanted));
      }
      const beyond = await ask(rule.threshold * 2);
      expect(beyond).toMatchObject({
        status: 422,
        body: { error: { message: expect.stringMatching(/sst2 allows at most/) } },
      });
      expect(await ask("perhaps")).toMatchObject({ status: 422 });
      expect(await ask("on", [{ text: "a", pair: "b" }])).toMatchObject({
        status: 422,
        body: { error: { message: expect.stringMatching(/no early exits for rte/) } },
      });
    } finally {
      await server.stop();
    }
  });

  test("counts their bytes, and exports the branch as it is without them", () => {
    const { tasks, bytes } = json("inspect");
    const sst2 = tasks.find(({ name }: { name: string }) => name === "sst2");
    const head = 16 * 16 + 16 + 2 * 16 + 2;
    expect(sst2.ramps).toMatchObject({ layers: [1, 2, 3], parameters: 3 * head });
    expect(sst2.ramps.bytes).toBeGreaterThan(4 * 3 * head);
    expect(bytes).toBeGreaterThan(sst2.ramps.bytes);
    done("export safetensors --task sst2 --out exported");
  });

  test("keeps them where another task changes, and rolls back to them", () => {
    const before = predicted("--model merged");
    const kept = blobs();
    done("update --task rte --base ./tiny --no-onnx --select rte=teacher");
    done("remove --task rte --no-onnx");
    expect(predicted("--model merged")).toEqual(before);
    expect(kept.every((name) => existsSync(path.join(cwd, "merged/blobs", name)))).toBe(true);
    done("remove --task sst2 --no-onnx");
    done("rollback");
    expect(predicted("--model merged")).toEqual(before);
    done("gc --keep 1 --older-than 0");
    expect(predicted("--model merged")).toEqual(before);
  });

  test("whose rule is damaged is refused by what is wrong", () => {
    done("merge --base ./tiny --no-onnx --out other");
    const folder = path.join(cwd, "other/manifests");
    expect(readdirSync(folder).length).toBeGreaterThan(0);
    const decision = path.join(cwd, `checkpoints/tiny/sst2/exits/of-${model.slice(-8)}.json`);
    expect(existsSync(decision)).toBe(true);
    writeFileSync(decision, "{");
    const { status, stderr } = run(`predict --model ${model} --text a`);
    expect(status).toBe(4);
    expect(stderr).toMatch(/exits\/of-.*json is damaged .*Remove it and run: flexbert exits/);
  });
});
