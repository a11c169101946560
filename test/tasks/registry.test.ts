import { describe, expect, test } from "@jest/globals";
import { ExitCode } from "../../src/errors/errors";
import { glueTasks } from "../../src/tasks/glue";
import { resolveTasks } from "../../src/tasks/registry";
import type { Task } from "../../src/tasks/task";

const mine: Task = { ...glueTasks.sst2, name: "mine", title: "Mine", folder: "" };
const names = (value: string | undefined) => resolveTasks(value, [mine]).map((task) => task.name);

describe("resolveTasks", () => {
  test("takes a name, a list, a title", () => {
    expect(names("rte")).toEqual(["rte"]);
    expect(names("stsb, mine,rte")).toEqual(["stsb", "mine", "rte"]);
    expect(names("STS-B")).toEqual(["stsb"]);
  });

  test("names a task once", () => {
    expect(names("rte,rte")).toEqual(["rte"]);
  });

  test("all means every task with a train split: not AX", () => {
    expect(names("all")).toEqual(["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli", "mine"]);
  });

  test("nothing means every task", () => {
    expect(names(undefined)).toHaveLength(11);
  });

  test("an unknown name is a usage error that names the nearest", () => {
    expect(() => names("rte,mnlli")).toThrow('--task mnlli: no such task (did you mean "mnli"?)');
    expect(() => names("weather")).toThrow(expect.objectContaining({ exitCode: ExitCode.usage }));
    expect(() => names(" , ")).toThrow("names no task");
  });
});
