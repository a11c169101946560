// Tables of scores from elsewhere: units, what spreadsheets do to files, and one clear error for what is wrong.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { readScores } from "../../src/selection/scores-file";
import { temporaryFolder } from "../tiny";

const folder = temporaryFolder();
const head = "task,base_layers,fork,layers,score";
let files = 0;

function read(lines: string | Uint8Array, unit: "auto" | "points" | "fractions" = "auto") {
  const file = path.join(folder, `scores-${files++}.csv`);
  writeFileSync(file, lines);
  return readScores(file, unit);
}

const rows = (...lines: string[]) => `${[head, ...lines].join("\n")}\n`;
const scores = async (...args: Parameters<typeof read>) =>
  (await read(...args)).tasks.flatMap(({ candidates }) => candidates.map(({ score }) => score));

describe("readScores", () => {
  test("keeps the order of tasks and candidates; the largest candidate stands for the teacher", async () => {
    const table = await read(rows("rte,12,7,5,71.5", "cola,12,4,1,36.4", "rte,12,7,1,66.1", "cola,12,4,8,55.2"));
    expect(table).toMatchObject({ baseLayers: 12, unit: "points" });
    expect(table.tasks.map(({ task, candidates }) => [task, candidates.map((c) => [c.role, c.layers])])).toEqual([
      [
        "rte",
        [
          ["teacher", 5],
          ["student", 1],
        ],
      ],
      [
        "cola",
        [
          ["student", 1],
          ["teacher", 8],
        ],
      ],
    ]);
  });

  test("points and fractions, by what the scores look like or by --score-unit", async () => {
    expect(await scores(rows("a,12,0,1,80", "a,12,0,2,90"))).toEqual([0.8, 0.9]);
    expect(await scores(rows("a,12,0,1,.8", "a,12,0,2,1"))).toEqual([0.8, 1]);
    // 0 is 0 in both: a collapsed run of CoLA.
    expect(await scores(rows("a,12,0,1,0", "a,12,0,2,-3.5"))).toEqual([0, -0.035]);
    expect(await scores(rows("a,12,0,1,0.8", "a,12,0,2,90"), "points")).toEqual([0.008, 0.9]);
    expect(await scores(rows("a,12,0,1,0.8"), "points")).toEqual([0.008]);
  });

  test("what spreadsheets and data frames write", async () => {
    const text = `\uFEFF${head},seed\r\n"a, b",12.0,7.0,5.0,7.15e1,1\r\n\r\n"a, b",12.0,none, 12,nan,2\r\n,,,,,\r\n`;
    const { tasks } = await read(text);
    expect(tasks).toEqual([
      {
        task: "a, b",
        candidates: [
          { role: "teacher", fork: 7, layers: 5, score: 0.715 },
          { role: "unshared", fork: null, layers: 12, score: null },
        ],
      },
    ]);
  });

  test.each([
    ["mixed units", rows("a,12,0,1,80", "a,12,0,2,0.9"), /line 3 has the score 0\.9, line 2 80: points or fractions\?/],
    ["too many points", rows("a,12,0,1,101"), /line 2: score 101 is beyond 100, the most in points/],
    [
      "no column",
      "task,layers,fork,score,baselayers\na,1,2,3,12\n",
      /no column base_layers \(did you mean "baselayers"/,
    ],
    ["a column twice", `${head},score\na,12,0,1,80,80\n`, /has two columns score/],
    ["semicolons", rows().replaceAll(",", ";"), /has no column task.*first line must be: task,base_layers,fork/],
    ["no rows", rows(), /no row under its header/],
    ["nothing", "", /has no column task/],
    ["a short row", rows("a,12,0,1"), /line 2: 4 cells under 5 columns/],
    ["a decimal comma", rows('a,12,0,1,"71,5"'), /line 2: score "71,5" is no number/],
    ["no score", rows("a,12,0,1,"), /line 2: score "" is no number; .*nan/],
    ["a hexadecimal score", rows("a,12,0,1,0x10"), /score "0x10"/],
    ["an infinite score", rows("a,12,0,1,1e999"), /score "1e999"/],
    ["no task", rows(",12,0,1,80"), /line 2: task is empty/],
    ["a task that colours terminals", rows("\x1b[31ma,12,0,1,80"), /task "\\u001b\[31ma" holds a control character/],
    ["a task of two lines", rows('"a\nb",12,0,1,80'), /holds a control character/],
    ["a whole encoder of no layers", rows("a,12,none,0,80"), /layers "0" is no number of layers from 1/],
    ["half a layer", rows("a,12,0,1.5,80"), /layers "1.5"/],
    ["a negative fork", rows("a,12,-1,1,80"), /fork "-1" is neither/],
    ["layers above the base", rows("a,12,8,5,80"), /5 layers above fork 8 are more than the base's 12/],
    [
      "a whole student above the base",
      rows("a,12,none,13,80"),
      /13 layers above fork none are more than the base's 12/,
    ],
    [
      "two bases",
      rows("a,12,0,1,80", "b,6,0,1,80"),
      /line 3 has base_layers 6, line 2 12; one selection is of one base/,
    ],
    ["two spellings", rows("RTE,12,0,1,80", "rte,12,0,2,81"), /writes one task as RTE and rte/],
    ["many broken rows", rows(...Array(9).fill("a,12,0,1,x")), /line 5: .*; and 5 more$/],
    [
      "a file of something else",
      rows(...Array(10_001).fill("a,12,0,1,80")),
      /more than 10000 rows: a row is a candidate/,
    ],
    ["an open quote", rows('"a,12,0,1,80'), /line 2: /],
    ["another encoding", Buffer.from(`${rows()}caf\xe9,12,0,1,80`, "latin1"), /is not UTF-8/],
  ])("%s", async (_, text, message) => {
    await expect(read(text)).rejects.toMatchObject({ exitCode: 3, message: expect.stringMatching(message) });
  });

  test("fractions that are none, and a file that is not there", async () => {
    await expect(read(rows("a,12,0,1,80"), "fractions")).rejects.toThrow(/score 80 is beyond 1, the most in fractions/);
    await expect(readScores(path.join(folder, "absent.csv"), "auto")).rejects.toThrow(
      /absent\.csv cannot be read \(ENOENT\)/,
    );
    await expect(readScores(folder, "auto")).rejects.toThrow(/EISDIR/);
  });
});
