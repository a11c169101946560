// The report with its charts drawn, as the built command writes it.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { palette } from "../../src/report/charts/palette";
import { cost, makeRun, makeSeeds } from "../report/stored-runs";
import { temporaryFolder } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const checkpoints = path.join(cwd, "checkpoints");
const run = (line: string) => flexbert(line.split(" "), { cwd });

beforeAll(async () => {
  const [teacher] = await makeSeeds(checkpoints, [0.71, 0.69, 0.66], { layers: 4, cost: cost(900) });
  await makeSeeds(checkpoints, [0.6, 0.61, 0.59], { layers: 1, cost: cost(900) });
  await makeRun(checkpoints, { layers: 6, full: true, score: 0.7 });
  const student = { method: "distill", teacher: teacher as NonNullable<typeof teacher> } as const;
  await makeSeeds(checkpoints, [0.62, 0.64, 0.6], { ...student, layers: 1 });
  await makeSeeds(checkpoints, [0.69, 0.7, 0.68], { ...student, layers: 2 });
  await makeSeeds(checkpoints, [0.5, 0.52, 0.49], { ...student, layers: 2, init: "pretrained" });
  await makeSeeds(checkpoints, [0.4, null, 0.42], { layers: 3, task: "cola", metric: "matthews" });
});

/** Every colour of every chart in a folder is one that the dark scheme knows. */
function expectPalette(folder: string): void {
  const known = new Set<string>(["none", "transparent", ...Object.values(palette).map(({ light }) => light)]);
  for (const name of readdirSync(path.join(cwd, folder))) {
    const svg = readFileSync(path.join(cwd, folder, name), "utf8");
    const drawn = svg.slice(svg.indexOf("</style>"));
    const colours = [...drawn.matchAll(/ (?:fill|stroke)="([^"]*)"/g)].map(([, colour = ""]) => colour);
    expect(colours.length).toBeGreaterThan(10);
    expect(colours.filter((colour) => !known.has(colour))).toEqual([]);
    expect(drawn).not.toMatch(/NaN|undefined|Infinity| id="| style="/);
    expect(svg).toMatch(/<title>.{20,}<\/title>/);
    expect(svg).toContain("prefers-color-scheme: dark");
    // What has neither fill nor stroke of its own would be drawn black.
    for (const [shape] of drawn.matchAll(/<(?:text|path|line|rect) [^>]*>/g)) {
      if (!/class="(background|foreground)"/.test(shape) && !/ d=""/.test(shape)) {
        expect(shape).toMatch(/ (fill|stroke)="/);
      }
    }
  }
}

describe("flexbert report", () => {
  test("writes a page with every chart in it, and the same charts and data as files", () => {
    const { status, stdout, stderr } = run("report --thresholds 1,2.5");
    expect({ status, stderr: stderr.replace(/^warning: .*\n/gm, "") }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/mixed, c = 2\.5 +\d+\.\d/);
    expect(stdout).toMatch(/report\/index\.html and report\.md: 2 tasks on owner\/tiny/);
    const html = readFileSync(path.join(cwd, "report/index.html"), "utf8");
    const charts = readdirSync(path.join(cwd, "report/charts"));
    expect(charts.sort()).toEqual([
      ...["dev-curve-cola.svg", "dev-curve-rte.svg", "layers.svg", "loss-curve-cola.svg", "loss-curve-rte.svg"],
      ...["scores-by-k-cola.svg", "scores-by-k-rte.svg", "students-rte.svg", "time.svg", "tradeoff.svg"],
    ]);
    expect(html.match(/<svg class="chart"/g)).toHaveLength(charts.length);
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
  });

  test("charts use the palette alone, so that the dark scheme reaches every line and letter", () => {
    expectPalette("report/charts");
  });

  test("students on other forks: charts by fork, of two fronts, in layers and milliseconds, and of what means gave", async () => {
    const elsewhere = path.join(cwd, "forks");
    const teacher = await makeRun(elsewhere, { layers: 4, score: 0.71 });
    const student = { method: "distill", teacher, layers: 1 } as const;
    await makeSeeds(elsewhere, [0.6, 0.61], student);
    await makeSeeds(elsewhere, [0.65, 0.66], { ...student, fork: 3 });
    await makeSeeds(elsewhere, [0.64, 0.67], { ...student, fork: 3, initLayers: "top" });
    writeFileSync(path.join(cwd, "latency.json"), JSON.stringify({ sharedLayerMs: 1.5, branchLayerMs: 1.75 }));
    const { status, stderr } = run("report --checkpoints forks --out report-forks --latency latency.json");
    expect({ status, stderr: stderr.replace(/^warning: .*\n/gm, "") }).toEqual({ status: 0, stderr: "" });
    expect(readdirSync(path.join(cwd, "report-forks/charts"))).toEqual(
      expect.arrayContaining(["means.svg", "students-forks-rte.svg", "tradeoff-ms.svg", "tradeoff.svg"]),
    );
    expectPalette("report-forks/charts");
    expect(run("report --checkpoints forks --latency nowhere.json")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/--latency nowhere.json cannot be read \(ENOENT\)/),
    });
  });

  test("writes the same bytes again", () => {
    const read = () => readFileSync(path.join(cwd, "report/index.html"), "utf8");
    const before = read();
    expect(run("report --thresholds 1,2.5 --quiet").status).toBe(0);
    expect(read()).toBe(before);
  });

  test("--json prints the numbers and the files", () => {
    const { status, stdout } = run("report --out other --task rte --json");
    expect(status).toBe(0);
    const { page, files, tasks, methods } = JSON.parse(stdout);
    expect(page).toBe("other/index.html");
    expect(files).toContain("data/scores-by-k.csv");
    expect(tasks).toHaveLength(1);
    expect(tasks[0]).toMatchObject({ task: "rte", metric: "accuracy", split: "dev", chosen: 4 });
    expect(tasks[0].scores.map(({ k, seeds }: { k: unknown; seeds: number }) => [k, seeds])).toEqual([
      [1, 3],
      [4, 3],
      ["full", 1],
    ]);
    expect(methods.map(({ method, layers }: { method: string; layers: number }) => [method, layers])).toEqual([
      ["Full fine-tuning", 6],
      ["w/o KD", 6],
      ["KD-1", 3],
      ["KD-2", 4],
      ["mixed, c = 1", 4],
      ["mixed, c = 2", 4],
      ["mixed, c = 3", 4],
    ]);
  });

  test.each([
    ["--thresholds -1", 2, /--thresholds "-1": it takes a list such as 1,2\.5, of numbers of at least 0/],
    ["--thresholds 1,,2", 2, /--thresholds "1,,2": it takes a list/],
    ["--task nope", 2, /--task nope: no such task/],
    ["--task mnli", 4, /no finished run of mnli in checkpoints on owner--tiny\. Run: flexbert finetune --task mnli/],
    ["--base other", 4, /no run of the base other in checkpoints/],
    ["--checkpoints elsewhere", 4, /no run in elsewhere\. Run: flexbert finetune/],
    ["--merged elsewhere", 4, /elsewhere is no merged model/],
  ])("refuses %s with one line", (flags, exitCode, message) => {
    const { status, stdout, stderr } = run(`report --out refused ${flags}`);
    expect([status, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("--tensorboard and --mlflow", () => {
  test.each([
    ["--mlflow ./mlruns", /--mlflow \.\/mlruns: it takes the address of a tracking server/],
    [
      "--mlflow http://localhost:1 --offline",
      /--mlflow http:\/\/localhost:1 needs the network, which --offline forbids/,
    ],
  ])("%s is refused before anything is read or trained", (flags, message) => {
    for (const command of ["finetune --task rte --k 1", "distill --task rte", "run absent.yaml"]) {
      const { status, stderr } = run(`${command} ${flags}`);
      expect(stderr).toMatch(message);
      expect(status).toBe(2);
    }
  });
});
