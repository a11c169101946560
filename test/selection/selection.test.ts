import { describe, expect, test } from "@jest/globals";
import type { RunRecord, StoredRun } from "../../src/checkpoints/runs/run-folder";
import { leftOut, parseSelect, selectRun, storedCandidates } from "../../src/selection/candidates";
import { jointCandidates } from "../../src/selection/joint-candidates";
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
  /** Of a student that does not reach the top. */
  readonly fork?: number;
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
  fork = 6 - layers,
}: Facts): StoredRun {
  const sha256 = `${layers}-${seed}-${full}`;
  const record = {
    state,
    layers,
    full,
    fork: full ? null : fork,
    seed,
    score,
    sha256,
    finishedAt,
    method: teacher ? "distill" : "finetune",
    base: { name: "b", sha256: "b", layers: 6 },
    options: {},
    trainData: { sha256: "t" },
    devData: { sha256: dev, rows: limit ?? 100, skipped: 0, ...(limit === undefined ? {} : { limit }) },
    ...(teacher ? { teacher: { id: "t", folder: "t", sha256: teacher, score: 1 } } : {}),
  } as unknown as RunRecord;
  return { folder: `${layers}-${seed}${6 - layers === fork ? "" : `-f${fork}`}`, record };
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

describe("students on any fork", () => {
  const teacher = run({ layers: 4, score: 0.8 });
  const student = (layers: number, fork: number, score: number, seed = 1) =>
    run({ layers, fork, score, seed, teacher: teacher.record.sha256 as string });
  const students = [
    student(2, 2, 0.7), // the teacher's fork
    student(2, 3, 0.75),
    student(2, 3, 0.74, 2),
    student(2, 4, 0.72),
    student(1, 5, 0.6),
  ];
  const task = { task: "rte", teachers: [teacher], students };
  const folderOf = (choice: Parameters<typeof selectRun>[1]) => selectRun(task, choice, "max").folder;

  test("kd-2 is the best on any fork, kd-2@same that on its teacher's, kd-2@4 that on fork 4", () => {
    expect(folderOf("kd-2")).toBe("2-1-f3");
    expect(folderOf("kd-2@same")).toBe("2-1-f2");
    expect(folderOf("kd-2@4")).toBe("2-1");
    expect(folderOf("student")).toBe("2-1-f3");
    expect(folderOf("best")).toBe("4-1");
  });

  test("a teacher stays for a place that is no smaller than its own, and what is missing is an error with the command", () => {
    expect(["kd-4", "kd-4@same", "kd-5@1"].map((choice) => folderOf(choice as "kd-4"))).toEqual(["4-1", "4-1", "4-1"]);
    expect(() => folderOf("kd-1@same")).toThrow(
      "rte has no student of 1 layer above its teacher's fork. Run: flexbert distill --task rte --student-layers 1",
    );
    expect(() => folderOf("kd-1@3")).toThrow(
      "rte has no student of 1 layer above fork 3. Run: flexbert distill --task rte --student-layers 1 --student-forks 3",
    );
    expect(() => folderOf("kd-4@1")).toThrow(/no student of 4 layers above fork 1/);
  });

  test("--select knows the fork", () => {
    expect(["kd-2@same", "kd-12@0"].map((choice) => parseSelect(choice)("rte"))).toEqual(["kd-2@same", "kd-12@0"]);
    expect(parseSelect("rte=kd-2@3, cola=kd-1@same")("cola")).toBe("kd-1@same");
    for (const wrong of ["kd-2@", "kd-2@-1", "kd-2@all", "kd-0@1", "kd-2@1-3", "teacher@same"]) {
      expect(() => parseSelect(wrong)).toThrow(/is none of teacher, best, kd-1, kd-2, kd-2@same, kd-2@3/);
    }
  });

  test("are candidates of their own, the best run of each place, from the shallowest fork", () => {
    const { candidates } = storedCandidates(task, "max", false);
    expect(candidates.map(({ role, layers, fork, score }) => [role, layers, fork, score])).toEqual([
      ["student", 1, 5, 0.6],
      ["student", 2, 2, 0.7],
      ["student", 2, 3, 0.75],
      ["student", 2, 4, 0.72],
      ["teacher", 4, 2, 0.8],
    ]);
  });

  test("have a full run for a teacher where nothing else was done; it is no candidate itself", () => {
    const full = run({ layers: 6, score: 0.9, full: true });
    const own = run({ layers: 2, fork: 3, score: 0.7, teacher: full.record.sha256 as string });
    const alone = { task: "rte", teachers: [full], students: [own] };
    for (const choice of ["student", "best", "kd-2", "kd-2@3"] as const) {
      expect(selectRun(alone, choice, "max")).toBe(own);
    }
    expect(selectRun(alone, "teacher", "max")).toBe(full);
    expect(() => selectRun(alone, "kd-2@same", "max")).toThrow(/no student of 2 layers above its teacher's fork/);
    const roles = (allow: boolean) => storedCandidates(alone, "max", allow).candidates.map(({ role }) => role);
    expect([roles(false), roles(true)]).toEqual([["student"], ["student", "unshared"]]);
    expect(leftOut(alone, "max")).toEqual([]);
    // With a teacher that shares its trunk, that one teaches, and these are another's.
    expect(leftOut({ ...alone, teachers: [full, teacher] }, "max")).toEqual(["1 student of other teachers left out"]);
  });
});

describe("whole students", () => {
  const teacher = run({ layers: 4, score: 0.8 });
  const taught = { teacher: teacher.record.sha256 as string };
  const branch = run({ layers: 2, score: 0.6, ...taught });
  const whole = run({ layers: 2, full: true, score: 0.7, ...taught });
  const task = { task: "rte", teachers: [teacher], students: [branch, whole] };

  test("share nothing, as k = full: no choice takes one unless that is allowed", () => {
    for (const choice of ["student", "kd-2"] as const) {
      expect(selectRun(task, choice, "max")).toBe(branch);
      expect(selectRun(task, choice, "max", true)).toBe(whole);
    }
    expect(selectRun({ ...task, students: [whole] }, "student", "max")).toBe(teacher);
    const roles = (allow: boolean) =>
      storedCandidates(task, "max", allow).candidates.map(({ role, fork, layers }) => [role, fork, layers]);
    const shared = [
      ["student", 4, 2],
      ["teacher", 2, 4],
    ];
    expect(roles(false)).toEqual(shared);
    expect(roles(true)).toEqual([...shared, ["unshared", null, 2]]);
    const joint = (allow: boolean) => jointCandidates(task, "max", allow).pool.candidates.map(({ role }) => role);
    expect(joint(false)).toEqual(["student", "teacher"]);
    expect(joint(true)).toEqual(["student", "teacher", "unshared"]);
  });

  test("are told of where they are passed over", () => {
    const told = ["1 whole student, sharing no layer, left out: --allow-unshared takes them"];
    expect([leftOut(task, "max"), leftOut(task, "max", true)]).toEqual([told, []]);
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

describe("jointCandidates", () => {
  const teachers = [
    run({ layers: 4, seed: 1, score: 0.8 }),
    run({ layers: 4, seed: 2, score: 0.84 }),
    run({ layers: 2, seed: 1, score: 0.79 }),
    run({ layers: 6, full: true, score: 0.9 }),
    run({ layers: 3, score: 0.99, dev: "quick", limit: 10 }),
  ];
  const student = (facts: Facts, fork: number) => {
    const made = run(facts);
    return { folder: `${made.folder}-${fork}-${facts.teacher}`, record: { ...made.record, fork } };
  };
  const students = [
    student({ layers: 2, score: 0.78, teacher: "4-2-false" }, 3),
    student({ layers: 2, score: 0.77, teacher: "other" }, 3),
    student({ layers: 2, score: 0.75, teacher: "other" }, 2),
    student({ layers: 1, score: 0.7, teacher: "4-2-false", state: "running" }, 3),
    student({ layers: 1, score: 0.71, teacher: "4-2-false", dev: "quick" }, 3),
  ];
  const shapes = (allowUnshared: boolean) => {
    const { pool, incomparable } = jointCandidates({ task: "rte", teachers, students }, "max", allowUnshared);
    return { incomparable, shapes: pool.candidates.map((one) => [one.role, one.fork, one.layers, one.score]), pool };
  };

  test("are the best run of every place that was scored on the teacher's dev rows, whoever taught it", () => {
    expect(shapes(false)).toMatchObject({
      incomparable: 1,
      shapes: [
        ["student", 2, 2, 0.75],
        ["student", 3, 2, 0.78],
        ["fine-tuned", 4, 2, 0.79],
        ["teacher", 2, 4, 0.84],
      ],
    });
    expect(shapes(true).shapes.at(-1)).toEqual(["unshared", null, 6, 0.9]);
  });

  test("know their seeds, and the task its noise", () => {
    const { pool } = shapes(false);
    expect(pool.candidates.map(({ seeds }) => seeds)).toEqual([1, 1, 1, 2]);
    expect(pool.noise).toEqual({ sd: expect.closeTo(0.04 / Math.SQRT2, 12), degrees: 1 });
  });
});
