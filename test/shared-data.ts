// Where published files and the larger reference values lie: FLEXBERT_SHARED_DATA, or ../shared/data beside the project.
// Tests that need them are skipped out loud where they are absent; reference.ts has small values of the clone's own.
import { existsSync } from "node:fs";
import path from "node:path";
import { unless } from "./skips";

export const sharedData = path.resolve(
  process.env["FLEXBERT_SHARED_DATA"] ?? path.join(__dirname, "../../shared/data"),
);

const present = existsSync(path.join(sharedData, "tiny-bert/expected.json"));
if (!present)
  console.warn(
    `SKIPPED: tests on published files and shared reference values, because ${sharedData} is absent (set FLEXBERT_SHARED_DATA)`,
  );

/** `describe` where the reference data is present; skipped where not. */
export const describeWithSharedData = unless(!present && `${sharedData} is absent`).describe;
