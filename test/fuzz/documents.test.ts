// A document that fuzzing changes comes out as text whatever was drawn: a change that throws would end the campaign.

import { expect, test } from "@jest/globals";
import { type Edit, editedJson, editedYaml } from "./documents";

const document = { name: "a", list: [1, { deep: null }], empty: {} };
const change = (kind: string, place: number, number = 0): Edit => ({ kind, place, text: "x", number });
const places = Array.from({ length: 8 }, (_, place) => place);

test.each([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e300])("a swap with place %s", (number) => {
  for (const place of places) expect(editedJson(document, [change("swap", place, number)])).toEqual(expect.any(String));
});

test("the root, and what is where it was", () => {
  for (const kind of ["drop", "null", "rename", "wrap", "double", "longer", "own", "empty", "raw"]) {
    for (const place of places) {
      const changes = [change(kind, 0), change("longer", place), change("swap", place, 3)];
      expect(editedJson(document, changes)).toEqual(expect.any(String));
      expect(editedYaml(document, changes)).toEqual(expect.any(String));
    }
  }
});
