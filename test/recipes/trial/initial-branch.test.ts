// What a student is before its first step, tensor by tensor.

import { describe, expect, test } from "@jest/globals";
import { layerTensors } from "../../../src/model/parameters";
import { type Place, placeOf } from "../../../src/model/place";
import { float32, type HostTensors } from "../../../src/model/tensors";
import {
  branchOfBase,
  branchOfTeacher,
  type LayerStart,
  layerStarts,
  studentOfTeacher,
} from "../../../src/recipes/trial/initial-branch";
import { glueTasks } from "../../../src/tasks/glue";
import { headOf } from "../../../src/tasks/task";
import { tinyBase } from "../../tiny";

const written = (starts: readonly LayerStart[]) => starts.map(({ from, layer }) => `${from[0]}${layer}`).join(" ");

describe("layerStarts", () => {
  const k = (layers: number, total = 12): Place => placeOf(total, layers);
  // Layers from 0 at the bottom: the teacher of k = 5 has t7 to t11.
  test.each<[string, Place, Place, Parameters<typeof layerStarts>[2], string]>([
    ["by depth, on its teacher's fork", { fork: 7, layers: 3 }, k(5), undefined, "t7 t8 t9"],
    ["by depth, above a deeper fork", { fork: 9, layers: 3 }, k(5), undefined, "t9 t10 t11"],
    ["by depth, above a shallower fork", { fork: 5, layers: 4 }, k(5), undefined, "b5 b6 t7 t8"],
    ["by depth, under all of its teacher", { fork: 2, layers: 2 }, k(5), undefined, "b2 b3"],
    ["bottom, above a deeper fork", { fork: 9, layers: 2 }, k(5), "bottom", "t7 t8"],
    ["top, above a shallower fork", { fork: 3, layers: 2 }, k(5), "top", "t10 t11"],
    ["spread over 5", { fork: 3, layers: 3 }, k(5), "spread", "t7 t9 t11"],
    ["spread over 5", { fork: 3, layers: 2 }, k(5), "spread", "t7 t11"],
    ["one of 5 spread is the middle one", { fork: 3, layers: 1 }, k(5), "spread", "t9"],
    ["one of 4 spread is above the middle", { fork: 3, layers: 1 }, k(4), "spread", "t10"],
    // DistilBERT's own list, in scripts/extract_distilbert.py of transformers' research projects.
    ["spread over all 12", { fork: 0, layers: 6 }, k(12), "spread", "t0 t2 t4 t7 t9 t11"],
    ["of a full teacher", { fork: 4, layers: 2 }, { fork: null, layers: 12 }, undefined, "t4 t5"],
    ["the top of a full teacher", { fork: 4, layers: 2 }, { fork: null, layers: 12 }, "top", "t10 t11"],
  ])("%s", (_, place, teacher, which, expected) => {
    expect(written(layerStarts(place, teacher, which))).toBe(expected);
  });
});

describe("studentOfTeacher", () => {
  const base = tinyBase();
  const head = headOf(glueTasks.rte, base.config);
  /** Every tensor another than the base's: a fine-tuned branch in which no value stayed. */
  const teacherOf = (place: Place) => {
    const branch = Object.fromEntries(
      Object.entries(branchOfBase(base, place, head, 1)).map(([name, { shape, data }]) => [
        name,
        float32(
          shape,
          Float32Array.from(data, (value) => value + 1),
        ),
      ]),
    );
    return { branch, place };
  };
  const teacher = teacherOf(placeOf(4, 2)); // layers 2 and 3
  const ofLayer = (tensors: HostTensors, from: number, to = from) =>
    Object.fromEntries(
      Object.entries(layerTensors(tensors, from, from + 1)).map(([name, tensor]) => [
        name.replace(`layer.${from}.`, `layer.${to}.`),
        tensor,
      ]),
    );
  const heads = Object.fromEntries(head.map(({ name }) => [name, teacher.branch[name]]));

  test("holds exactly the layers that it should, under its teacher's pooler and head", () => {
    const student = studentOfTeacher(teacher, base, { fork: 1, layers: 2 }, head);
    expect(student).toEqual({ ...ofLayer(base.tensors, 1), ...ofLayer(teacher.branch, 2), ...heads });
    const moved = studentOfTeacher(teacher, base, { fork: 0, layers: 2 }, head, "top");
    expect(moved).toEqual({ ...ofLayer(teacher.branch, 2, 0), ...ofLayer(teacher.branch, 3, 1), ...heads });
    const deeper = studentOfTeacher(teacher, base, { fork: 3, layers: 1 }, head);
    expect(deeper).toEqual({ ...ofLayer(teacher.branch, 3), ...heads });
    expect(Object.keys(heads).sort()).toEqual([
      ...["bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias", "classifier.weight"],
    ]);
  });

  test("takes no embeddings of a full teacher", () => {
    const full = teacherOf({ fork: null, layers: 4 });
    const student = studentOfTeacher(full, base, { fork: 2, layers: 1 }, head);
    expect(Object.keys(student).filter((name) => /embeddings/.test(name))).toEqual([]);
    expect(student["bert.encoder.layer.2.output.dense.weight"]).toEqual(
      full.branch["bert.encoder.layer.2.output.dense.weight"],
    );
  });

  test("is on its teacher's fork what the paper's is, in the same order of tensors, by depth and from the bottom", () => {
    const place = { fork: 2, layers: 1 };
    const paper = branchOfTeacher(teacher.branch, place, base.config, head);
    for (const which of [undefined, "bottom"] as const) {
      const student = studentOfTeacher(teacher, base, place, head, which);
      expect(Object.entries(student)).toEqual(Object.entries(paper));
    }
  });

  test("has its tensors in one order, whatever order the files have", () => {
    const reversed = (tensors: HostTensors) => Object.fromEntries(Object.entries(tensors).reverse());
    const place = { fork: 1, layers: 2 };
    const student = studentOfTeacher(teacher, base, place, head);
    const other = studentOfTeacher(
      { ...teacher, branch: reversed(teacher.branch) },
      { ...base, tensors: reversed(base.tensors) },
      place,
      head,
    );
    expect(Object.keys(other)).toEqual(Object.keys(student));
  });

  test("names the tensor that a damaged teacher lacks", () => {
    const { "bert.encoder.layer.2.output.dense.bias": _, ...rest } = teacher.branch;
    expect(() => studentOfTeacher({ ...teacher, branch: rest }, base, { fork: 1, layers: 2 }, head)).toThrow(
      "the teacher lacks bert.encoder.layer.2.output.dense.bias. Fine-tune it again with --force",
    );
  });
});
