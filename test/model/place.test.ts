import { describe, expect, test } from "@jest/globals";
import { isSmaller, kOf, type Place } from "../../src/model/place";

test("full is k of a teacher with embeddings of its own, and no student's", () => {
  const full: Place = { fork: null, layers: 6 };
  expect([kOf(full), kOf({ fork: 4, layers: 2 }), kOf({ fork: null, layers: 3 }, "students")]).toEqual(["full", 2, 3]);
});

describe("isSmaller", () => {
  const teacher: Place = { fork: 3, layers: 3 };
  test.each<[number, number, boolean, string]>([
    [3, 2, true, "fewer layers on its fork"],
    [3, 3, false, "the teacher's own place"],
    [5, 1, true, "fewer layers above a deeper fork"],
    [1, 3, true, "as many layers, and a lower top"],
    [1, 4, true, "more layers, and a lower top: alone it costs 5 of 6"],
    [2, 4, false, "more layers up to the same top"],
    [0, 6, false, "the whole base"],
  ])("%d layers under %d: %s, %s", (fork, layers, smaller) => {
    expect(isSmaller({ fork, layers }, teacher)).toBe(smaller);
  });

  test("a full teacher shares nothing: every student shares more", () => {
    const full: Place = { fork: null, layers: 6 };
    expect([1, 6].map((layers) => isSmaller({ fork: 0, layers }, full))).toEqual([true, true]);
  });

  test("a whole student is smaller than a teacher with more layers, frozen ones counted", () => {
    const whole = (layers: number): Place => ({ fork: null, layers });
    for (const place of [teacher, whole(6)]) {
      expect([5, 6].map((layers) => isSmaller(whole(layers), place))).toEqual([true, false]);
    }
  });
});
