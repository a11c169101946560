// What the twenty steps of PyTorch's reference curves are towards: labels, or a teacher beside them.

import { heads } from "../../src/model/heads";
import { distillationLoss, labelLoss } from "../../src/recipes/losses";
import { floats, type Objective } from "./curves";

const { classification } = heads;

export const labelsObjective: Objective = ({ labels }) => ({ loss: labelLoss(classification), curve: labels });

export const distillObjective: Objective = ({ distill }) => ({
  loss: distillationLoss(classification, distill),
  curve: distill,
  inputs: { teacher_logits: floats(distill.teacher_logits) },
});
