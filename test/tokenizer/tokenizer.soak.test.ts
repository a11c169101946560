// Any text, at length: offsets, words and ids agree with each other.

import { test } from "@jest/globals";
import { soak } from "../soak";
import { offsetsFit, wordsHaveTheirRanges } from "./properties";

test("offsets of any text rise inside it, and the ids fit and are encode's", () => soak(offsetsFit, 5_000));

test("words with ranges are the same words", () => soak(wordsHaveTheirRanges, 5_000));
