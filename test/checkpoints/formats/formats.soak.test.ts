// Any tensors and any damage, at length.

import { test } from "@jest/globals";
import { temporaryFolder } from "../../files/temporary-folder";
import { soak } from "../../soak";
import {
  anyPickleIsNamed,
  anyShardIndexIsNamed,
  anyTf1IndexIsNamed,
  anyTf1VariableIsNamed,
  bundlesComeBack,
  damagedIndexIsAnError,
  damagedSafetensorsAreNamed,
  damagedTorchFilesAreNamed,
} from "./properties";

test("bundles of any tensors come back as they were", () => soak(bundlesComeBack(), 500));

test("an index of any damage is an error, never other values", () =>
  soak(damagedIndexIsAnError(temporaryFolder()), 1_000));

test("a damaged safetensors file is named, or its tensors are whole", () =>
  soak(damagedSafetensorsAreNamed(temporaryFolder()), 3_000));

test("a damaged file of PyTorch's is named, or its tensors are whole", () =>
  soak(damagedTorchFilesAreNamed(temporaryFolder()), 1_000));

test("a pickle of any operations is named, or holds tensors", () => soak(anyPickleIsNamed(temporaryFolder()), 1_000));

test("an index of shards of any content is named, or names files beside it", () => soak(anyShardIndexIsNamed(), 2_000));

test("a TensorFlow index of any bytes is named, or its tensors are whole", () =>
  soak(anyTf1IndexIsNamed(temporaryFolder()), 1_000));

test("a TensorFlow checkpoint that says anything of its variables is named, or they are whole", () =>
  soak(anyTf1VariableIsNamed(temporaryFolder()), 500));
