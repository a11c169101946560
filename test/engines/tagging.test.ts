// A head that reads every token against PyTorch's BertForTokenClassification (bench/peers/reference_tagging.py), on every engine:
// losses and gradient norms of training towards tags, and towards a teacher's logits of the same tokens.

import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "@jest/globals";
import { heads } from "../../src/model/heads";
import { float32, int32 } from "../../src/model/tensors";
import { distillationLoss, labelLoss } from "../../src/recipes/losses";
import { ownReference } from "../reference";
import { expectPyTorchsLosses } from "./curves";
import { describeEachEngine } from "./engines";

const reference = JSON.parse(readFileSync(path.join(ownReference, "tagging.json"), "utf8"));
const { tags, teacher_logits: teacher, alpha, temperature } = reference;
const { tagging: head } = heads;
const folder = path.join(ownReference, "tiny-bert");

describeEachEngine("PyTorch's values of tagging", (open) => {
  const [rows, length] = [tags.length, tags[0].length];
  const labels = int32([rows, length], Int32Array.from(tags.flat()));

  test("5 losses and gradient norms towards tags within 1e-3", async () => {
    const objective = () => ({ head, loss: labelLoss(head), curve: reference.labels, inputs: { labels } });
    await expectPyTorchsLosses(await open(), folder, objective);
  });

  test("and towards tags and a teacher's logits of the tokens that have them", async () => {
    const teacher_logits = float32([rows, length, teacher[0][0].length], Float32Array.from(teacher.flat(2)));
    const loss = distillationLoss(head, { alpha, temperature });
    const objective = () => ({ head, loss, curve: reference.distill, inputs: { labels, teacher_logits } });
    await expectPyTorchsLosses(await open(), folder, objective);
  });
});
