// flexbert pack: what serves a merged model elsewhere.

import { type PackPlan, pack, packOptions, planPack } from "../../api/pack";
import { formatBytes } from "../../files/atomic";
import { settingsOf } from "../../options/settings";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { table } from "../terminal";

/** What may be sent in one request; more goes through a bucket. */
const DIRECT_BYTES = 50 * 2 ** 20;

export const packCommand = defineCommand({
  description:
    "lambda: a zip for a function on AWS Lambda (Node 22, handler index.handler), with one version of a merged folder in " +
    "int8 where it has it, onnxruntime's library for one kind of processor, and no TensorFlow.js. The function answers " +
    "events of API Gateway (payload 2.0) and of function addresses, and direct calls with the body of POST /v1/predict. " +
    "It may unpack to 250 MB; what would not fit is refused. Of int8, x64 also gets weights of 7 bits, for processors that " +
    "cannot multiply 8 (x86 before VNNI).\n\n" +
    "server: a folder with the program for one platform, from which node bin/flexbert.js serve and predict run: for " +
    "images. It has no model, and trains nothing.",
  options: { ...packOptions, ...dryRun },
  examples: [
    "pack --target lambda --merged merged/ --dry-run",
    "pack --target lambda --merged merged/ --version stable --arch arm64 --out function.zip",
    "pack --target lambda --task intent,mood --json",
    "pack --target server --out image/flexbert",
  ],
  async run({ dryRun, ...values }, terminal) {
    const options = settingsOf(packOptions, values);
    if (dryRun) {
      const plan = await planPack(options);
      if (terminal.json) return terminal.printJson({ dryRun: true, ...plan });
      return terminal.print(`would write ${plan.out}, for ${plan.platform}\n${sizes(plan)}`);
    }
    const packed = await pack(options);
    if (terminal.json) return terminal.printJson(packed);
    const zipped = packed.target === "lambda" ? `, ${formatBytes(packed.packed)} zipped` : "";
    terminal.print(`${packed.out}, for ${packed.platform}${zipped}\n${sizes(packed)}`);
    if (packed.target === "lambda" && packed.packed > DIRECT_BYTES) {
      terminal.reporter.log("a zip of more than 50 MB goes to Lambda through a bucket (aws lambda --s3-bucket)");
    }
  },
});

function sizes({ parts, bytes, model }: PackPlan): string {
  const what = { ...parts, ...(model ? {} : { model: null }) };
  const rows = Object.entries(what).flatMap(([part, size]) => (size === null ? [] : [[part, formatBytes(size)]]));
  const held = model ? `\nversion ${model.version}, ${model.weights}, tasks ${model.tasks.join(", ")}` : "";
  return `${table(["part", "unpacked"], [...rows, ["all", formatBytes(bytes)]])}${held}`;
}
