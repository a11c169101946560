import { describe, expect, test } from "@jest/globals";
import type { RunRecord, StoredRun } from "../../src/checkpoints/runs/run-folder";
import { leftOut, parseSelect, selectRun, storedCandidates } from "../../src/selection/candidates";
import { chooseTeacher, comparableRuns, scoresByLayers } from "../../src/selection/teacher";

interface Facts {
  readonly layers: number;
  readonly score: number | null;
  readonly seed?: number;
  readonly full?: boolean;
  readonly dev?: string;
  /** Dev rows, where only so many were asked for. */
  readonly limit?: number;
  readonly finishedAt?: string;
  readonly state?: RunRecord["state"];
  readonly teacher?: string;
}

function run({
  layers,
  score,
  seed = 1,
  full = false,
  dev = "dev",
  limit,
  finishedAt = "2026",
  state = "finished",
  teacher,
}: Facts): StoredRun {
  const sha256 = `${layers}-${seed}-${full}`;
  const record = {
    state,
    layers,
    full,
    fork: full ? null : 6 - layers,
    seed,
    score,
    sha256,
    finishedAt,
    method: teacher ? "distill" : "finetune",
    base: { name: "b", sha256: "b", layers: 6 },
    devData: { sha256: dev, rows: limit ?? 100, skipped: 0, ...(limit === undefined ? {} : { limit }) },
    ...(teacher ? { teacher: { id: "t", folder: "t", sha256: teacher, score: 1 } } : {}),
  } as unknown as RunRecord;
  return { folder: `${layers}-${seed}`, record };
}

describe("chooseTeacher", () => {
  test("takes the maximum over seeds, or the mean", () => {
    const runs = [
      run({ layers: 2, seed: 1, score: 0.9 }),
      run({ layers: 2, seed: 2, score: 0.5 }),
      run({ layers: 3, seed: 1, score: 0.8 }),
      run({ layers: 3, seed: 2, score: 0.8 }),
    ];
    expect(chooseTeacher(runs, "max")?.folder).toBe("2-1");
    expect(chooseTeacher(runs, "mean")?.folder).toBe("3-1");
    expect(scoresByLayers(runs).map(({ mean }) => mean?.toFixed(2))).toEqual(["0.70", "0.80"]);
  });

  test("the smaller k wins a tie within 1e-9; an undefined score counts as worst", () => {
    const tied = [
      run({ layers: 4, score: 0.7 + 1e-12 }),
      run({ layers: 3, score: 0.7 }),
      run({ layers: 1, score: null }),
    ];
    expect(chooseTeacher(tied, "max")?.record.layers).toBe(3);
    expect(chooseTeacher([run({ layers: 1, score: null })], "max")?.record.layers).toBe(1);
  });

  test("unfinished and full runs are no candidates", () => {
    expect(
      chooseTeacher(
        [run({ layers: 2, score: 0.9, state: "running" }), run({ layers: 6, score: 0.9, full: true })],
        "max",
      ),
    ).toBeNull();
  });

  test("scores on other dev rows are kept apart, the newest first", () => {
    const old = run({ layers: 2, score: 0.99, dev: "before", finishedAt: "2025" });
    const now = run({ layers: 3, score: 0.8, dev: "mended", finishedAt: "2026" });
    expect(comparableRuns([old, now])).toEqual([[now], [old]]);
  });

  test("a quick look comes after every run of the whole dev split, and after longer looks", () => {
    const whole = run({ layers: 3, score: 0.8, dev: "all", finishedAt: "2025" });
    const long = run({ layers: 3, score: 0.9, dev: "first 50", limit: 50, finishedAt: "2026-01" });
    const short = run({ layers: 2, score: 1, dev: "first 1", limit: 1, finishedAt: "2026-02" });
    expect(comparableRuns([short, whole, long])).toEqual([[whole], [long], [short]]);
    expect(leftOut({ teachers: [short, whole, long], students: [] }, "max")).toEqual([
      "2 runs scored on other dev rows left out",
    ]);
  });
});

describe("selectRun", () => {
  const teacher = run({ layers: 4, score: 0.8 });
  const small = run({ layers: 1, score: 0.7, teacher: teacher.record.sha256 as string });
  const large = run({ layers: 2, score: 0.85, teacher: teacher.record.sha256 as string });
  const orphan = run({ layers: 3, score: 0.99, teacher: "an earlier teacher" });
  const task = { task: "rte", teachers: [teacher], students: [small, large, orphan] };

  test.each([
    ["student", large],
    ["teacher", teacher],
    ["best", large],
    ["kd-1", small],
    ["kd-2", large],
    ["kd-4", teacher],
  ] as const)("%s", (choice, expected) => {
    expect(selectRun(task, choice, "max")).toBe(expected);
  });

  test("a task without students keeps its teacher; a student that is missing is an error with the command", () => {
    expect(selectRun({ ...task, students: [] }, "student", "max")).toBe(teacher);
    expect(() => selectRun(task, "kd-3", "max")).toThrow(/flexbert distill --task rte --student-layers 3/);
    expect(() => selectRun({ ...task, teachers: [] }, "teacher", "max")).toThrow(/flexbert finetune --task rte/);
  });

  test("students of other teachers are left out, and that is said", () => {
    expect(leftOut(task, "max")).toEqual(["1 student of other teachers left out"]);
    expect(leftOut({ teachers: [teacher], students: [small] }, "max")).toEqual([]);
  });

  test("--select for all, and by task", () => {
    expect(parseSelect("kd-2")("rte")).toBe("kd-2");
    const choose = parseSelect("rte=teacher, cola=kd-2");
    expect([choose("rte"), choose("cola"), choose("mrpc")]).toEqual(["teacher", "kd-2", "student"]);
    expect(() => parseSelect("rte=")).toThrow(/task=choice/);
  });
});

describe("storedCandidates", () => {
  const teacher = run({ layers: 4, score: 0.8 });
  const student = (facts: Facts) => run({ ...facts, teacher: teacher.record.sha256 as string });
  const smaller = run({ layers: 3, score: 0.7 });
  const full = run({ layers: 6, score: 0.9, full: true });
  const shapes = (...args: Parameters<typeof storedCandidates>) =>
    storedCandidates(...args).candidates.map(({ role, layers, fork, score }) => [role, layers, fork, score]);

  test("are the best student of each size and the teacher, from the smallest", () => {
    const students = [
      student({ layers: 2, score: 0.7 }),
      student({ layers: 1, score: 0.6, seed: 1 }),
      student({ layers: 1, score: 0.65, seed: 2 }),
      run({ layers: 3, score: 0.99, teacher: "an earlier teacher" }),
      student({ layers: 3, score: 0.99, state: "running" }),
    ];
    const stored = { task: "rte", teachers: [smaller, teacher, full], students };
    const expected = [
      ["student", 1, 5, 0.65],
      ["student", 2, 4, 0.7],
      ["teacher", 4, 2, 0.8],
    ];
    expect(shapes(stored, "max", false)).toEqual(expected);
    expect(shapes(stored, "max", true)).toEqual([...expected, ["unshared", 6, null, 0.9]]);
  });

  test("leave out students that other dev rows scored, and count them", () => {
    const students = [student({ layers: 1, score: 0.99, dev: "first 50" }), student({ layers: 2, score: 0.7 })];
    const { candidates, incomparable } = storedCandidates({ task: "rte", teachers: [teacher], students }, "max", false);
    expect([candidates.map(({ layers }) => layers), incomparable]).toEqual([[2, 4], 1]);
  });

  test("are none without a finished run that shares layers", () => {
    expect(shapes({ task: "rte", teachers: [full], students: [] }, "max", false)).toEqual([]);
    expect(shapes({ task: "rte", teachers: [], students: [] }, "max", true)).toEqual([]);
  });
});
