// The validator is a module that Jest's realms do not load.

import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "@jest/globals";

test("a validator accepts the document", () => {
  const built = path.join(__dirname, "../../../dist/serve/http/openapi.js");
  const script = `
    const { openApi } = require(${JSON.stringify(built)});
    import("@seriousme/openapi-schema-validator").then(async ({ Validator }) => {
      const result = await new Validator().validate(openApi());
      const broken = await new Validator().validate({ ...openApi(), paths: { "/x": { get: { responses: 5 } } } });
      console.log(JSON.stringify([result.valid, result.errors ?? null, broken.valid]));
    });`;
  const said = execFileSync(process.execPath, ["-e", script], {
    cwd: path.join(__dirname, "../../.."),
    encoding: "utf8",
  });
  expect(JSON.parse(said)).toEqual([true, null, false]);
});
