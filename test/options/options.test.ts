import { describe, expect, test } from "@jest/globals";
import { UserError } from "../../src/errors/errors";
import { fitLayers, layerRange } from "../../src/options/layers";
import { option, resolveOptions, toggle } from "../../src/options/option";
import { bytes, text } from "../../src/options/readers";
import { recipes } from "../../src/recipes/recipes";
import { modelFolder } from "../../src/settings/model";
import { seedOptions, trainingSettings } from "../../src/settings/training";
import { workOptions } from "../../src/settings/work";

const definitions = { ...trainingSettings, ...seedOptions, ...recipes.finetune.options };

function problemsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof UserError) return [String(error.exitCode), ...error.message.split("\n")];
    throw error;
  }
  return [];
}

describe("resolveOptions", () => {
  test("takes defaults, then the config file, then flags", () => {
    const config = { file: "c.yaml", values: { epochs: 4, learning_rate: 1e-4 } };
    const values = resolveOptions(definitions, { epochs: "5" }, config);
    expect([values.epochs, values.learningRate, values.batchSize]).toEqual([5, 1e-4, 32]);
    expect(values.dropout).toBeNull();
  });

  test("a flag that begins with --no- is a switch of its own, as commander gives it", () => {
    const switches = { noOnnx: toggle({ flag: "--no-onnx", help: "" }) };
    expect(resolveOptions(switches, { onnx: true }, null)).toEqual({ noOnnx: false });
    expect(resolveOptions(switches, { onnx: false }, null)).toEqual({ noOnnx: true });
    const config = { file: "c.yaml", values: { no_onnx: true } };
    expect(resolveOptions(switches, { onnx: true }, config)).toEqual({ noOnnx: true });
  });

  test("reports every problem at once, with option, value and what is allowed", () => {
    const config = { file: "c.yaml", values: { warmup: 2, batchsize: 16 } };
    expect(problemsOf(() => resolveOptions(definitions, { epochs: "0", clipNorm: "much" }, config))).toEqual([
      "2",
      'c.yaml: unknown key batchsize (did you mean "batch_size"?)',
      '--epochs "0": it takes a whole number from 1 to 10000',
      "c.yaml: warmup 2: it takes a number from 0 to 1",
      '--clip-norm "much": it takes a number of at least 0',
    ]);
  });

  test("names the choice that a misspelt one is nearest to", () => {
    expect(problemsOf(() => resolveOptions(recipes.finetune.options, { search: "halfing" }, null))[1]).toBe(
      '--search "halfing": it takes one of full, halving (did you mean "halving"?)',
    );
    expect(problemsOf(() => resolveOptions(recipes.finetune.options, { search: "random" }, null))[1]).toMatch(
      /full, halving$/,
    );
  });

  test("a flag beats what the file says of the same thing under another name", () => {
    const config = { file: "c.yaml", values: { seed: 7 } };
    const values = resolveOptions(seedOptions, { seeds: "3" }, config);
    expect([values.seed, values.seeds]).toEqual([undefined, 3]);
    expect(resolveOptions(seedOptions, { seed: "2" }, config).seed).toBe(2);
  });

  test("two names for one thing in the same place contradict each other", () => {
    expect(problemsOf(() => resolveOptions(seedOptions, { seed: "3", seeds: "2" }, null))).toEqual([
      "2",
      "--seed and --seeds exclude each other: give one",
    ]);
    const config = { file: "c.yaml", values: { seed: 7, seeds: 2 } };
    expect(problemsOf(() => resolveOptions(seedOptions, {}, config))[1]).toMatch(/^c.yaml: seed and seeds exclude/);
  });

  describe("a folder of a model", () => {
    const folder = { model: option(text, { ...modelFolder("--model"), help: "", fallback: "merged" }) };

    test("is named by either spelling, in flags and in a file", () => {
      expect(resolveOptions(folder, {}, null).model).toBe("merged");
      for (const spelling of ["model", "merged"]) {
        expect(resolveOptions(folder, { [spelling]: "a" }, null).model).toBe("a");
        const config = { file: "c.yaml", values: { [spelling]: "b" } };
        expect(resolveOptions(folder, {}, config).model).toBe("b");
        for (const flag of ["model", "merged"]) expect(resolveOptions(folder, { [flag]: "a" }, config).model).toBe("a");
      }
    });

    test("is named by both only where they agree", () => {
      expect(resolveOptions(folder, { model: "a", merged: "a" }, null).model).toBe("a");
      expect(problemsOf(() => resolveOptions(folder, { model: "a", merged: "b" }, null))).toEqual([
        "2",
        "--model a and --merged b name the same thing: give one",
      ]);
      const config = { file: "c.yaml", values: { model: "a", merged: "b" } };
      expect(problemsOf(() => resolveOptions(folder, {}, config))[1]).toBe(
        "c.yaml: model and merged name the same thing: keep one",
      );
    });
  });

  test("options of one call are no config keys", () => {
    const config = { file: "c.yaml", values: { force: true } };
    expect(problemsOf(() => resolveOptions(workOptions, {}, config))[1]).toMatch(/unknown key force/);
  });

  test("a default that its own reader refuses would be a defect of the definition", () => {
    expect(() =>
      resolveOptions({ ...definitions, ...workOptions, ...recipes.distill.options }, {}, null),
    ).not.toThrow();
  });
});

describe("layer ranges", () => {
  const read = layerRange({ full: true });

  test.each([
    ["3-9", [3, 4, 5, 6, 7, 8, 9]],
    ["2", [2]],
    ["1,2,3", [1, 2, 3]],
    ["full", ["full"]],
    ["1-2,full", [1, 2, "full"]],
    ["2,2", [2]],
    ["0-2", [0, 1, 2]],
  ])("%s", (text, expected) => {
    expect(read(text).values).toEqual(expected);
  });

  test.each(["9-3", "a", "1-", "-1", "1.5", "", "1;2", "99999999999"])("%s is refused", (text) => {
    expect(() => read(text)).toThrow(/layers such as 3-9/);
  });

  test("full and 0, the head alone, are refused where they are no choice", () => {
    for (const text of ["full", "0"]) expect(() => layerRange({ full: false })(text)).toThrow(/layers such as/);
  });

  test("a range is cut to the base's layers, a single number above them is an error", () => {
    expect(fitLayers("k", read("3-9"), 6)).toEqual({
      values: [3, 4, 5, 6],
      note: "k 3-9: the base has 6 layers, running 3-6",
    });
    expect(fitLayers("k", read("3-9"), 12).note).toBeNull();
    expect(problemsOf(() => fitLayers("k", read("7"), 6))).toEqual([
      "2",
      "--k 7: the base has 6 layers. Give at most 6",
    ]);
    expect(problemsOf(() => fitLayers("k", read("7-9"), 6))[0]).toBe("2");
    expect(problemsOf(() => fitLayers("k", read("7,2-4"), 6))[0]).toBe("2");
    expect(fitLayers("k", read("2,5-9"), 6).note).toBe("k 2,5-9: the base has 6 layers, running 2,5,6");
  });
});

describe("sizes", () => {
  const read = bytes(() => 1000);

  test.each([
    ["4GiB", 4 * 2 ** 30],
    ["500MB", 5e8],
    ["2.5 gb", 2.5e9],
    ["25%", 250],
    ["123", 123],
  ])("%s", (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  test.each(["4 apples", "-1GB", "101%", ""])("%s is refused", (text) => {
    expect(() => read(text)).toThrow(/a size such as/);
  });
});
