import { describe, expect, test } from "@jest/globals";
import { chooseNamed } from "../../src/selection/named";
import { task } from "./tables";

describe("chooseNamed", () => {
  const rte = task("rte", [1, 66.1], [2, 64.6], [3, 66.8], [5, 71.5]);

  test.each([
    ["teacher", 5, "teacher"],
    ["best", 5, "best"],
    ["student", 3, "best student"],
    ["kd-1", 1, "kd-1"],
    ["kd-3", 3, "kd-3"],
    ["kd-6", 5, "kd-6: its teacher is no larger"],
  ] as const)("%s takes the one of %d layers", (choice, layers, note) => {
    const { chosen, notes, candidates } = chooseNamed(rte, choice);
    expect(chosen.layers).toBe(layers);
    expect(notes[candidates.indexOf(chosen)]).toBe(note);
  });

  test("what is not there is an error with the command that makes it", () => {
    expect(() => chooseNamed(rte, "kd-4")).toThrow(
      /rte has nothing for kd-4: it has a student of 1 layer, .*, a teacher of 5 layers\. Run: .* --student-layers 4$/,
    );
  });

  test("kd-2 is the best on any fork, kd-2@same and kd-2@4 name one", () => {
    const any = task("a", [2, 70, 2], [2, 72, 3], [2, 71, 4], [4, 75, 2]);
    const fork = (choice: Parameters<typeof chooseNamed>[1]) => {
      const { chosen } = chooseNamed(any, choice);
      return [chosen.layers, chosen.fork];
    };
    expect(["kd-2", "kd-2@same", "kd-2@4", "kd-4@same"].map((choice) => fork(choice as "kd-2"))).toEqual([
      [2, 3],
      [2, 2],
      [2, 4],
      [4, 2],
    ]);
    expect(() => chooseNamed(any, "kd-1@3")).toThrow(
      /^a has nothing for kd-1@3: it has a student of 2 layers above fork 2, .*Run: .* --student-layers 1 --student-forks 3$/,
    );
  });

  test("of equal scores the fewest layers win, then the first; an undefined score never", () => {
    const tied = task("a", [4, 70, 1], [2, 70, 3], [2, 70, 1], [1, null]);
    expect(chooseNamed(tied, "best").chosen).toBe(tied.candidates[1]);
  });

  test("a task that has only its teacher keeps it; an unshared run is a teacher where there is no other", () => {
    expect(chooseNamed(task("a", [4, 70]), "student").chosen.layers).toBe(4);
    expect(chooseNamed(task("a", [12, 70, null]), "teacher").chosen.layers).toBe(12);
    expect(chooseNamed(task("a", [12, 90, null], [4, 70]), "teacher").chosen.layers).toBe(4);
  });
});
