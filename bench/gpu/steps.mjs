// Train steps of the onnx engine on a GPU against PyTorch on the same card in the same minutes: the sizes of bench/train-step.mjs,
// frozen layers' forward pass included on both sides, AdamW, clipping. Both processes live side by side and step in turn; the
// best and the median of the rounds count. Prints a line of JSON a case, whatever fails.
//
//   npm run build && node bench/gpu/steps.mjs [--device cuda] [--python python3] [--rounds 20] CASE:PRECISION[:DROPOUT] ...
//
// CASE is one of bench/peers/step-cases.mjs; PRECISION float32, tf32, bf16 or float16. --no-peer leaves PyTorch out.
import path from "node:path";
import { parseArgs } from "node:util";
import { stepCases } from "../peers/step-cases.mjs";
import { openStepper } from "../peers/stepper.mjs";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: "string", default: "cuda" },
    python: { type: "string", default: "python3" },
    rounds: { type: "string", default: "20" },
    threads: { type: "string", default: "8" },
    "no-peer": { type: "boolean", default: false },
  },
});
const peers = path.join(import.meta.dirname, "../peers");
const WARM = 3;

for (const wanted of positionals) {
  const [name, precision, dropout = "0"] = wanted.split(":");
  const row = { case: name, precision, dropout: Number(dropout), device: values.device };
  try {
    Object.assign(row, await measure(name, precision, dropout));
  } catch (error) {
    row.error = error.message;
  }
  console.log(JSON.stringify(row));
}
process.exit(0);

async function measure(name, precision, dropout) {
  const sizes = [...stepCases[name], Number(values.threads)].map(String);
  const environment = { DEVICE: values.device, PRECISION: precision, DROPOUT: dropout };
  const opening = [
    openStepper(process.execPath, [path.join(peers, "flexbert-step.mjs"), ...sizes, "onnx"], environment),
  ];
  if (!values["no-peer"]) {
    const device = values.device === "cpu" ? "cpu" : "cuda";
    const script = [path.join(peers, "train_step.py"), ...sizes, device, precision];
    opening.push(openStepper(values.python, script, environment));
  }
  const steppers = await Promise.all(opening);
  const rounds = steppers.map(() => []);
  const first = [];
  for (let round = 0; round < WARM + Number(values.rounds); round++) {
    for (const [at, stepper] of steppers.entries()) {
      const step = await stepper.step();
      if (round === 0) first.push(step);
      if (round >= WARM) rounds[at].push(step);
    }
  }
  await Promise.all(steppers.map((stepper) => stepper.close()));
  const [ours, peer] = rounds.map((steps) => {
    const sorted = steps.map(({ ms }) => ms).sort((a, b) => a - b);
    return { best: sorted[0], median: sorted[sorted.length >> 1], loss: steps.at(-1).loss };
  });
  const frozen = Math.min(...rounds[0].map((step) => step.frozen));
  return {
    engine: steppers[0].ready,
    ours: { ...ours, frozen, first: first[0].ms, compiled: first[0].compiled?.seconds },
    ...(peer
      ? {
          peer: { name: steppers[1].ready, ...peer },
          ratio: ours.best / peer.best,
          ratioOfMedians: ours.median / peer.median,
        }
      : {}),
  };
}
