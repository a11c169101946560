// Early exits in the report: the curve with its rule and students beside it, and what runs without a rule say.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "@jest/globals";
import type { RunRecord, StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { DecidedExits } from "../../src/exits/exits";
import { decisionFile, writeDecision } from "../../src/recipes/ramps/decision";
import { recipes } from "../../src/recipes/recipes";
import type { ReportChart, ReportTable } from "../../src/report/document";
import { buildReport } from "../../src/report/report";
import { glueTasks } from "../../src/tasks/glue";
import { temporaryFolder } from "../tiny";
import { base, makeRun } from "./stored-runs";

const root = temporaryFolder();
let checkpoints: string;
let count = 0;

beforeEach(() => {
  checkpoints = path.join(root, `checkpoints${count++}`);
});

const storedAt = (record: RunRecord, method: string, name: string): StoredRun => ({
  folder: path.join(checkpoints, base.name.replace("/", "--"), record.task, method, name),
  record,
});

const exits: DecidedExits = {
  ...{ criterion: "entropy", threshold: 0.1, stops: [2, 4], promise: { keep: 0.99, confidence: 0.95 } },
  measured: { rows: 50, counted: 40, lost: 1, layers: 3.5, top: 6, left: [20, 10] },
};

const curve = [
  { threshold: 0, layers: 6, score: 0.8 },
  { threshold: 0.1, layers: 3.5, score: 0.78 },
  { threshold: 0.6, layers: 2, score: 0.6 },
];

async function decided(record: RunRecord, decision: { exits: DecidedExits } | { exits: null; why: string }) {
  const own = storedAt(record, record.method, `k${record.layers}-seed1-${record.id}`);
  mkdirSync(path.dirname(decisionFile(own)), { recursive: true });
  const asked = { criterion: "entropy", promise: { keep: 0.99, confidence: 0.95 } };
  const of = { ramps: own, asked, decision, scores: [{ layer: 1, score: 0.5 }], curve };
  await writeDecision(own, glueTasks.rte, of);
  return decisionFile(own);
}

const labels = [{ name: "rte", title: "RTE", inAverage: true }];
const build = () => buildReport({ checkpoints, recipes, labels, chooseBy: "max", thresholds: [1] });
const sectionOf = ({ document }: Awaited<ReturnType<typeof build>>) =>
  document.sections.find(({ id }) => id === "exits");

const blocksOf = (report: Awaited<ReturnType<typeof build>>) =>
  (sectionOf(report)?.blocks ?? []) as unknown as [ReportChart, ReportTable];

test("the curve, its rule ringed, and students, whose rows all take the same layers", async () => {
  const teacher = await makeRun(checkpoints, { layers: 4, score: 0.8 });
  await makeRun(checkpoints, { layers: 1, score: 0.7, method: "distill", teacher });
  await decided(teacher, { exits });
  const [chart, table] = blocksOf(await build());
  const [panel] = chart.panels;
  expect(panel?.name).toBe(`exits-rte-${teacher.id}`);
  expect(panel?.alt).toMatch(/^RTE, k = 4, dev accuracy .* 80.0 at 6.0 layers, 78.0 at 3.5 layers, 60.0 at 2.0 layers/);
  expect(panel?.alt).toMatch(/The rule: 78.0 at 3.5 layers. Students: 70.0 at 3.0 layers.$/);
  expect(chart.csv.rows).toEqual([
    ["rte", "accuracy", "dev", teacher.id, "exits", 0, 6, 0.8, false],
    ["rte", "accuracy", "dev", teacher.id, "exits", 0.1, 3.5, 0.78, true],
    ["rte", "accuracy", "dev", teacher.id, "exits", 0.6, 2, 0.6, false],
    ["rte", "accuracy", "dev", teacher.id, "students", null, 3, 0.7, false],
  ]);
  const [row] = table.rows;
  expect(row?.map(({ text, detail }) => (detail ? `${text}; ${detail}` : text))).toEqual([
    ...["RTE, k = 4", "entropy at most 0.100", "keeps 99 %; confidence 95 %", "2, 4", "3.50; of 6", "78.0", "80.0"],
    "1; of 40",
  ]);
});

test("without a rule the reason is said, and without ramps nothing is", async () => {
  const run = await makeRun(checkpoints, { layers: 4, score: 0.8 });
  expect(sectionOf(await build())).toBeUndefined();
  const file = await decided(run, { exits: null, why: "12 dev rows count" });
  const [, table] = blocksOf(await build());
  expect(table.rows[0]?.map(({ text }) => text)).toEqual(["RTE, k = 4", "none", "", "", "", "", "80.0", ""]);
  expect(table.notes.at(-1)).toBe("RTE, k = 4: no exits, because 12 dev rows count");
  writeFileSync(file, "{}");
  await expect(build()).rejects.toThrow(/of-\w+\.json is damaged .*Remove it and run: flexbert exits/);
});
