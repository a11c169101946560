// Python with PyTorch and transformers, where FLEXBERT_PYTHON or the path has one.

import { spawnSync } from "node:child_process";
import { unless } from "./skips";

export const python = process.env["FLEXBERT_PYTHON"] ?? "python3";

const isThere = spawnSync(python, ["-c", "import torch, transformers"]).status === 0;

/** `describe` and `test` where there is one. */
export const withTransformers = unless(
  !isThere && `${python} has no transformers and PyTorch. Name one that has in FLEXBERT_PYTHON`,
);
