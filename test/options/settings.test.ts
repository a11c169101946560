import { describe, expect, test } from "@jest/globals";
import { option, optional, silentDefault } from "../../src/options/option";
import { choice, integer } from "../../src/options/readers";
import {
  fromRecorded,
  recorded,
  recordedProblem,
  type SettingsOf,
  settingsFrom,
  settingsOf,
} from "../../src/options/settings";

const definitions = {
  epochs: option(integer({ min: 1 }), { flag: "--epochs", help: "", fallback: 3 }),
  maxRows: optional(integer({ min: 1 }), { flag: "--max-rows", help: "" }),
  precision: silentDefault(option(choice(["float32", "bf16"]), { flag: "--precision", help: "", fallback: "float32" })),
};
const settings: SettingsOf<typeof definitions> = { epochs: 2, precision: "float32" };

describe("settings", () => {
  test("are a group's own values, in the order of its definitions", () => {
    const values = { force: true, precision: "bf16" as const, maxRows: undefined, epochs: 2 };
    expect(JSON.stringify(settingsOf(definitions, values))).toBe('{"epochs":2,"precision":"bf16"}');
  });

  test("come from a file's keys, and from defaults where it has none", () => {
    expect(settingsFrom(definitions, { max_rows: 7, other: 1 })).toEqual({
      epochs: 3,
      maxRows: 7,
      precision: "float32",
    });
  });

  test("leave a silent default out of what is recorded, and find it again", () => {
    expect(recorded(definitions, settings)).toEqual({ epochs: 2 });
    expect(recorded(definitions, { ...settings, precision: "bf16" })).toEqual({ epochs: 2, precision: "bf16" });
    expect(fromRecorded(definitions, { epochs: 2, temperature: 2 })).toEqual(settings);
  });

  test("a record's values are looked at by the definitions that read flags", () => {
    expect(recordedProblem(definitions, { epochs: 2, temperature: 2 })).toBeNull();
    expect(recordedProblem(definitions, {})).toBe("it has no options.epochs");
    expect(recordedProblem(definitions, { epochs: "2" })).toBe('its options.epochs is "2"');
    expect(recordedProblem(definitions, { epochs: 0 })).toBe(
      "its options.epochs is 0: it takes a whole number of at least 1",
    );
    expect(recordedProblem(definitions, { epochs: 2, precision: "fp8" })).toMatch(/^its options.precision is "fp8"/);
  });
});
