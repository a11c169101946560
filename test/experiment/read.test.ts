import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { exitOptionsOf, tasksWithExits } from "../../src/experiment/exits";
import { jointOptionsOf } from "../../src/experiment/joint";
import { listTrials, stepsOf } from "../../src/experiment/plan";
import { readExperiment } from "../../src/experiment/read";
import { recipes } from "../../src/recipes/recipes";
import { temporaryFolder } from "../files/temporary-folder";

const folder = temporaryFolder();

const write = (text: string) => {
  const file = path.join(folder, "trial-run.yaml");
  writeFileSync(file, text);
  return file;
};

const messageOf = async (text: string): Promise<string> => {
  const error = await readExperiment(write(text), recipes).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: "UserError", exitCode: 2 });
  return (error as Error).message;
};

const whole = `tasks: rte, cola
seeds: [3, 7]
learning_rate: [1e-5, 1e-4]
epochs: 2
max_train_samples: { cola: 100 }
finetune: { k: 1-2, epochs: [1, 2] }
distill: { student_layers: 1, tasks: [cola], alpha: 0.9 }
merge:
report: false
`;

describe("readExperiment", () => {
  test("names, defaults, a block's own values and the grid", async () => {
    const experiment = await readExperiment(write(whole), recipes);
    expect(experiment.name).toBe("trial-run");
    expect(experiment.base).toBe("bert-base-uncased");
    expect(stepsOf(experiment)).toEqual(["finetune", "distill", "merge"]);
    const blocksOf = (method: string) => experiment.blocks.filter(({ recipe }) => recipe.method === method);
    const [finetune] = blocksOf("finetune");
    const distill = blocksOf("distill");
    expect(finetune?.seeds).toEqual([3, 7]);
    expect(finetune?.trainings.map(({ learningRate, epochs }) => [learningRate, epochs])).toEqual([
      [1e-5, 1],
      [1e-5, 2],
      [1e-4, 1],
      [1e-4, 2],
    ]);
    expect(finetune?.trainings[0]).toEqual({
      epochs: 1,
      learningRate: 1e-5,
      batchSize: 32,
      maxLength: 128,
      warmup: 0.1,
      weightDecay: 0.01,
      clipNorm: 1,
      dropout: null,
      precision: "float32",
    });
    expect(distill[0]?.trainings.map(({ epochs }) => epochs)).toEqual([2, 2]);
    expect(distill[0]?.values).toMatchObject([{ method: "flexbert", temperature: 2, alpha: 0.9 }]);
    expect(distill[0]?.tasks.map(({ name }) => name)).toEqual(["cola"]);
    expect(experiment.tasks.map((task) => experiment.samples(task))).toEqual([{}, { maxTrainSamples: 100 }]);
  });

  test("epochs and rates by task: those that are not named have the file's, else the default", async () => {
    const experiment = await readExperiment(
      write(`tasks: rte, cola, mrpc
learning_rate: 5e-5
epochs: { rte: 5 }
finetune: { k: 1-2, learning_rate: { mrpc: [5e-5, 2e-5] } }
distill: [{ student_layers: 1, tasks: [mrpc, rte], epochs: { mrpc: 8 } }]
`),
      recipes,
    );
    const trained = experiment.blocks.flatMap(({ recipe, tasks, trainings }) =>
      tasks.map(({ name }) => [
        `${recipe.method} ${name}`,
        ...trainings.map(({ epochs, learningRate }) => `${epochs} at ${learningRate}`),
      ]),
    );
    expect(trained).toEqual([
      ["finetune rte", "5 at 0.00005"],
      ["finetune cola", "3 at 0.00005"],
      ["finetune mrpc", "3 at 0.00005", "3 at 0.00002"],
      ["distill rte", "5 at 0.00005"],
      ["distill mrpc", "8 at 0.00005"],
    ]);
  });

  test("by task or not, the same trials have the same numbers", async () => {
    const numbered = async (epochs: string, more = "") => {
      const text = `tasks: rte, cola\nepochs: ${epochs}\nfinetune: { k: 1-2 }\ndistill: { student_layers: 1${more} }\n`;
      const { trials } = listTrials(await readExperiment(write(text), recipes), 4);
      return trials.map(({ index, recipe, task, place, seed, training }) =>
        JSON.stringify({ index, step: recipe.method, task: task.name, place, seed, training }),
      );
    };
    const plain = await numbered("[2, 3]");
    expect(plain).toHaveLength(12);
    expect(await numbered("{ rte: [2, 3], cola: [2, 3] }")).toEqual(plain);
    expect(await numbered("{ cola: [2, 3] }", ", epochs: { rte: [2, 3] }")).not.toEqual(plain);
    const own = await numbered("{ rte: [2, 3], cola: 5 }");
    expect(own.filter((one) => one.includes('"rte"') && one.includes("finetune"))).toEqual(plain.slice(0, 4));
  });

  test("false leaves a step out", async () => {
    const experiment = await readExperiment(
      write("tasks: rte\nfinetune: { k: full }\ndistill: false\nselect: false\n"),
      recipes,
    );
    expect(stepsOf(experiment)).toEqual(["finetune"]);
  });

  test("joint models have the defaults of their command, of all tasks and of all but one", async () => {
    const text =
      "tasks: [rte, stsb, cola]\nepochs: 9\nfinetune: { k: 1 }\njoint: { leave_one_out: true, mixing: sqrt }\n";
    const experiment = await readExperiment(write(text), recipes);
    expect(stepsOf(experiment)).toEqual(["finetune", "joint"]);
    const { training, mixing, sets, seeds, headLearningRate } = jointOptionsOf(experiment);
    expect({ mixing, seeds, headLearningRate, epochs: training.epochs }).toEqual({
      ...{ mixing: "sqrt", seeds: [1], headLearningRate: 1e-3, epochs: 3 },
    });
    const names = sets.map((set) => set.map(({ name }) => name).join(" "));
    expect(names).toEqual(["rte stsb cola", "stsb cola", "rte cola", "rte stsb"]);
  });

  test("exits have the defaults of their command, whatever the file says of models, and stand before merge", async () => {
    const text =
      "tasks: rte, stsb\nepochs: 9\nlearning_rate: 2e-5\nfinetune: { k: 1 }\nmerge:\nexits: { keep: 98, seeds: 2 }\n";
    const experiment = await readExperiment(write(text), recipes);
    expect(stepsOf(experiment)).toEqual(["finetune", "exits", "merge"]);
    expect(exitOptionsOf(experiment)).toMatchObject({
      keep: 98,
      seeds: 2,
      epochs: 5,
      learningRate: 1e-3,
      batchSize: 32,
    });
    expect(tasksWithExits(experiment).map(({ name }) => name)).toEqual(["rte", "stsb"]);
    const some = await readExperiment(write(text.replace("seeds: 2", "tasks: stsb")), recipes);
    expect(tasksWithExits(some).map(({ name }) => name)).toEqual(["stsb"]);
  });

  test("a task file beside the experiment", async () => {
    writeFileSync(
      path.join(folder, "own.yaml"),
      "tasks:\n  - {name: mine, files: {train: a.tsv}, columns: {text: t, label: l}, labels: [a, b]}\n",
    );
    const experiment = await readExperiment(write("tasks: mine\ntasks_file: own.yaml\nfinetune: { k: 1 }\n"), recipes);
    expect(experiment.tasks.map(({ name }) => name)).toEqual(["mine"]);
    expect(experiment.tasksFile).toBe(path.join(folder, "own.yaml"));
  });
});

describe("bad files", () => {
  test("all problems come in one report, with lines and nearest matches", async () => {
    const message = await messageOf(`tasks: [rte, cula]
sedes: 5
epochs: [3, many]
batch_size: 0
max_train_samples: { sst2: 10 }
finetune: { k: 3-0, learning_rat: 1e-4 }
distill:
  student_layers: 1
  tasks: [mrpc]
  init: [teacher, techer]
select: { threshold: 1, max_layers: 3 }
merge: { select: best }
`);
    expect(message.split("\n").slice(1)).toEqual([
      expect.stringMatching(/line 1: tasks\[1\]: "cula" is no task \(did you mean "cola"\?\); there are cola, /),
      '  line 2: sedes: unknown key (did you mean "seeds"?); the keys here are ' +
        "base, lower_case, tasks, tasks_file, seeds, learning_rate, epochs, batch_size, patience, max_length, warmup, weight_decay, clip_norm, dropout, precision, " +
        "max_train_samples, max_eval_samples, skip_broken_rows, max_broken_rows, choose_by, search, budget, search_seed, finetune, distill, joint, select, exits, merge, report, jobs",
      '  line 3: epochs[1]: takes a whole number from 1 to 10000, got "many"',
      "  line 4: batch_size: takes a whole number from 1 to 65536, got 0",
      `  line 5: max_train_samples.sst2: "sst2" is not among the experiment's tasks`,
      '  line 6: finetune.k: takes layers such as 3-9, 2 or 1,2,3, or full, got "3-0"',
      expect.stringMatching(/line 6: finetune.learning_rat: unknown key \(did you mean "learning_rate"\?\)/),
      expect.stringMatching(/line 9: distill.tasks\[0\]: "mrpc" is not among/),
      '  line 10: distill.init[1]: takes one of teacher, pretrained (did you mean "teacher"?), got "techer"',
      "  line 11: select: threshold and max_layers exclude each other: keep one",
      "  line 12: merge.select: the step select chooses already: keep one of the two",
    ]);
  });

  test.each([
    ["", /tasks: is missing/],
    ["tasks: rte\n", /finetune: is missing/],
    ["- rte\n", /must be of type object/],
    ["tasks: 5\nfinetune: {k: 1}\n", /"5" is no task/],
    ["tasks: {a: b}\nfinetune: {k: 1}\n", /tasks: takes a task's name or a list of names/],
    ["tasks: rte\nfinetune: {k: 1}\nmax_eval_samples: [3]\n", /max_eval_samples: takes a whole number/],
    ["tasks: rte\nfinetune: 3\n", /finetune: must be of type object, got 3/],
    ["tasks: rte\nfinetune: {k: 1}\nreport: {a: 1}\n", /report.a: unknown key; the keys here are measure/],
    ["tasks: []\nfinetune: {k: 1}\n", /tasks: needs at least one value/],
    ["tasks: rte\nfinetune: {k: 1}\nepochs: { rte: many }\n", /line 3: epochs.rte: takes a whole number from 1 to/],
    ["tasks: rte\nfinetune: {k: 1}\nepochs: { rte: [] }\n", /line 3: epochs.rte: needs at least one value/],
    ["tasks: rte\nfinetune: {k: 1}\nepochs: { rte: [2, x] }\n", /line 3: epochs.rte\[1\]: takes a whole number/],
    ["tasks: rte\nfinetune: {k: 1}\nepochs: { cola: 2 }\n", /line 3: epochs.cola: "cola" is not among/],
    [
      "tasks: rte\nfinetune: {k: 1, learning_rate: { rtf: 1e-5 }}\n",
      /finetune.learning_rate.rtf: "rtf" is not among.*"rte"/,
    ],
    [
      "tasks: rte\nfinetune: {k: 1}\ndistill: { student_layers: 1, epochs: { cola: 2 } }\n",
      /line 3: distill.epochs.cola: "cola" is/,
    ],
    ["tasks: rte\nfinetune: {k: 1}\nbatch_size: { rte: 2 }\n", /batch_size: takes a whole number/],
    ["tasks: [rte, rte]\nfinetune: {k: 1}\n", /tasks: holds a value twice/],
    ["tasks: rte,\nfinetune: {k: 1}\n", /tasks: takes a task's name or a list of names, got "rte,"/],
    ["tasks: [rte, null]\nfinetune: {k: 1}\n", /tasks: takes a task's name or a list of names, got \["rte",null\]/],
    ["tasks: rte\nfinetune: {k: 1}\nlearning_rate: -1\n", /learning_rate: takes a number of at least 0, got -1/],
    ["tasks: rte\nfinetune: {k: 1}\nlearning_rate: .nan\n", /learning_rate: takes a number of at least 0, got NaN/],
    [
      "tasks: rte\nfinetune: {k: 1}\ndistill: {student_layers: 1, init: none}\n",
      /distill.init: takes one of .*, got "none"/,
    ],
    ["tasks: ax\nfinetune: {k: 1}\n", /"ax" has no train split/],
    ["tasks: rte\nfinetune: {k: 1}\nselect:\n", /select: takes one of .*; it has 0/],
    ["tasks: rte\nfinetune: {k: 1}\nseeds: 0\n", /seeds: takes a whole number from 1 to 1000, got 0/],
    ["tasks: rte\nfinetune: {k: 1}\nseeds: [1, 1]\n", /seeds: holds a value twice/],
    ["tasks: rte\nfinetune: {k: 1}\ndistill: []\n", /distill: needs at least one block/],
    ["tasks: rte\nfinetune: {k: full}\nmerge:\n", /leaves no teacher, .* leave out merge/],
    ["tasks: rte\nfinetune: {k: full}\ndistill: {student_layers: 1}\n", /leaves no teacher/],
    ["tasks: rte\nfinetune: {k: full}\ndistill: {student_layers: 1, student_forks: same}\n", /leaves no teacher/],
    ["tasks: rte\nfinetune: {k: 1}\ndistill: {student_layers: 1, student_forks: all}\n", /student_forks: takes forks/],
    ["tasks: rte\nfinetune: {k: 1}\ndistill: {student_layers: 1, init_layers: last}\n", /init_layers: takes one of/],
    ["tasks: rte\nfinetune: {k: 1}\nselect: {threshold: high}\n", /select.threshold: takes a number of at least 0/],
    ["tasks: rte\nfinetune: {k: 1}\nmerge: {select: rta=kd-1}\n", /merge.select: "rta" is not among .*"rte"/],
    ["tasks: rte\nfinetune: {k: 1}\nmerge: {select: kd2}\n", /merge.select: kd2: "kd2" is none of teacher, best/],
    ["tasks: rte\nfinetune: {k: 1}\nexits: {budget: 3, keep: 99}\n", /exits.budget: promises nothing: keep it, or/],
    ["tasks: rte\nfinetune: {k: 1}\nexits: {tasks: cola}\n", /line 3: exits.tasks: "cola" is not among/],
    ["tasks: rte\nfinetune: {k: 1}\nexits: {criterion: sure}\n", /exits.criterion: takes one of entropy, probability/],
    [
      "tasks: [rte, stsb]\nfinetune: {k: 1}\nexits: {criterion: entropy}\n",
      /exits.criterion: entropy is none of stsb's, a task of regression: spread/,
    ],
    ["tasks: rte\nfinetune: {k: 1}\njoint: true\n", /line 3: joint: needs at least 2 tasks/],
    [
      "tasks: [rte, cola]\nfinetune: {k: 1}\njoint: {leave_one_out: true}\n",
      /joint: needs at least 3 tasks: leave_one_out trains the others together/,
    ],
    ["tasks: rte\nfinetune: {k: [\n", /line \d+: /],
    ["tasks: rte\ntasks_file: nowhere.yaml\nfinetune: {k: 1}\n", /nowhere.yaml/],
  ])("%j", async (text, wanted) => {
    expect(await messageOf(text)).toMatch(wanted);
  });

  test("a file that is not there", async () => {
    await expect(readExperiment(path.join(folder, "absent.yaml"), recipes)).rejects.toThrow(
      /absent.yaml: cannot read .*ENOENT/,
    );
  });

  test("students on forks of their own may have a full teacher, and are there to be chosen and merged", async () => {
    const text = "tasks: rte\nfinetune: {k: full}\ndistill: {student_layers: 1, student_forks: 2-3}\nmerge:\n";
    const experiment = await readExperiment(write(text), recipes);
    expect(listTrials(experiment, 6).trials.map(({ place }) => place)).toEqual([
      { fork: null, layers: 6 },
      { fork: 2, layers: 1 },
      { fork: 3, layers: 1 },
    ]);
  });

  test("forks without room: a single one is refused, a range is cut; a start that contradicts the other is refused", async () => {
    const students = (block: string) =>
      readExperiment(write(`tasks: rte\nfinetune: {k: 3}\ndistill: {student_layers: 1-2, ${block}}\n`), recipes);
    const { trials, notes } = listTrials(await students("student_forks: '4-9'"), 6);
    expect(trials.slice(1).map(({ place }) => [place.fork, place.layers])).toEqual([
      [4, 2],
      [4, 1],
      [5, 1],
    ]);
    expect(notes).toEqual(["student_forks 4-9: the base has 6 layers, running students of 1 on 4-5; 2 on 4"]);
    const single = await students("student_forks: [2, 6]");
    expect(() => listTrials(single, 6)).toThrow(
      /^\S*trial-run.yaml: student_forks 2,6: the base has 6 layers, and above fork 6 there is no room for 1/,
    );
    const both = await students("init: [teacher, pretrained], init_layers: top");
    expect(() => listTrials(both, 6)).toThrow(/trial-run.yaml: init-layers top names layers of the teacher/);
  });

  test("a list of starts gives students of each", async () => {
    const text = "tasks: rte\nfinetune: {k: 3}\ndistill: {student_layers: 1, init_layers: [depth, top, spread]}\n";
    const { trials } = listTrials(await readExperiment(write(text), recipes), 6);
    expect(trials.slice(1).map(({ init, initLayers }) => [init, initLayers])).toEqual([
      ["teacher", undefined],
      ["teacher", "top"],
      ["teacher", "spread"],
    ]);
  });

  test("layers that the base does not have: a single one is refused, a range is cut", async () => {
    const single = await readExperiment(write("tasks: rte\nfinetune: {k: 7}\n"), recipes);
    expect(() => listTrials(single, 6)).toThrow(/trial-run.yaml: k 7: the base has 6 layers/);
    const range = await readExperiment(write("tasks: rte\nfinetune: {k: 5-9}\n"), recipes);
    const { trials, notes } = listTrials(range, 6);
    expect(trials.map(({ place }) => place.layers)).toEqual([6, 5]);
    expect(notes).toEqual(["k 5-9: the base has 6 layers, running 5-6"]);
  });
});
