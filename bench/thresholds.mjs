// From how many rows on it pays to tune a label's threshold: F1 on 50,000 other rows with the threshold that is best on a few, beside that
// with a half, by the number of these rows that have the label. Scores are made up: a label of 2 % of the rows, whose logits are those of two
// Gaussians so far apart, moved by so much (0: probabilities are right; below 0: a model that says too little of a rare label).
//
//   npm run build && node bench/thresholds.mjs [--draws 60] [--seed 1]
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

showUsage(import.meta.url);

const require = createRequire(import.meta.url);
const { normals } = require("../dist/random/draws.js");
const { foldIn, seedKey } = require("../dist/random/threefry.js");
const { tuneEach } = require("../dist/tasks/thresholds.js");

const { values } = parseArgs({
  options: { draws: { type: "string", default: "60" }, seed: { type: "string", default: "1" } },
});
const PREVALENCE = 0.02;
const settings = [2, 3, 4].flatMap((apart) => [0, -1, -2].map((moved) => ({ apart, moved })));

let drawn = 0;
/** Scores and targets of rows of which so many have the label. */
function rowsOf(having, { apart, moved }) {
  const rows = Math.round(having / PREVALENCE);
  const noise = normals(foldIn(seedKey(Number(values.seed)), drawn++), rows, 1);
  const targets = Float64Array.from(noise, (_, row) => Number(row < having));
  const prior = Math.log(PREVALENCE / (1 - PREVALENCE));
  const scores = noise.map((value, row) => {
    const logit = apart * (value + apart * targets[row]) - apart ** 2 / 2 + prior + moved;
    return 1 / (1 + Math.exp(-logit));
  });
  return { scores, targets };
}

function f1Of({ scores, targets }, threshold) {
  let [hits, said, having] = [0, 0, 0];
  for (const [row, score] of scores.entries()) {
    const holds = Number(score >= threshold);
    hits += holds * targets[row];
    said += holds;
    having += targets[row];
  }
  return said + having > 0 ? (200 * hits) / (said + having) : 0;
}

const others = settings.map((setting) => rowsOf(1000, setting));
console.log(
  "points that tuning wins over a half, mean (share of draws in which it loses), by separation and shift of the logits",
);
console.log(
  ["rows", ...settings.map(({ apart, moved }) => `${apart}, ${moved}`)].map((text) => text.padStart(12)).join(""),
);
for (const having of [1, 2, 3, 5, 8, 10, 20, 50]) {
  const cells = settings.map((setting, i) => {
    const usual = f1Of(others[i], 0.5);
    const gains = Array.from({ length: Number(values.draws) }, () => {
      const { scores, targets } = rowsOf(having, setting);
      return f1Of(others[i], tuneEach(scores, targets, 1, 0.5, 1)[0]) - usual;
    });
    const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
    const losing = gains.filter((gain) => gain < 0).length / gains.length;
    return `${mean.toFixed(1)} (${Math.round(100 * losing)} %)`;
  });
  console.log([String(having), ...cells].map((text) => text.padStart(12)).join(""));
}
