// Where the reference data lies: FLEXBERT_SHARED_DATA, or ../shared/data beside the project.
// Tests that need it are skipped out loud where it is absent.
import { existsSync } from "node:fs";
import path from "node:path";

export const sharedData = path.resolve(
  process.env["FLEXBERT_SHARED_DATA"] ?? path.join(__dirname, "../../shared/data"),
);

const present = existsSync(path.join(sharedData, "tiny-bert/expected.json"));
if (!present)
  console.warn(`SKIPPED: tests on reference data, because ${sharedData} is absent (set FLEXBERT_SHARED_DATA)`);

/** `describe` where the reference data is present, else `describe.skip`. */
export const describeWithSharedData = present ? describe : describe.skip;
