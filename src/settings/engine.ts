// What runs the model: the engines by name, in the order that `auto` tries them, their threads and their precision.

import { option, optional, silentDefault } from "../options/option";
import { choice, integer } from "../options/readers";
import type { SettingsOf } from "../options/settings";

export const engineNames = ["tensorflow", "onnx", "wasm"] as const;
export type EngineName = (typeof engineNames)[number];

/** What the operands of matrix products are rounded to; everything else is float32. */
export const precisions = ["float32", "tf32", "bf16", "float16"] as const;
export type Precision = (typeof precisions)[number];

export const threads = {
  threads: optional(integer({ min: 1, max: 1024 }), {
    flag: "--threads",
    value: "<n>",
    help: "threads of the engine (default all cores)",
  }),
};

/** What the onnx engine computes on; "auto" is a GPU where one is found, and the CPU elsewhere. */
export const devices = ["cpu", "webgpu", "cuda", "auto"] as const;
export type DeviceChoice = (typeof devices)[number];

export const deviceOption = {
  device: option(choice(devices), {
    flag: "--device",
    value: "<name>",
    help: "of the onnx engine: cpu, webgpu, cuda, or auto (a GPU where one is found)",
    fallback: "cpu",
  }),
};

export const engineOptions = {
  engine: option(choice(["auto", ...engineNames]), {
    flag: "--engine",
    value: "<name>",
    help: "auto, tensorflow, onnx or wasm",
    fallback: "auto",
  }),
  ...deviceOption,
  ...threads,
};

/** Of commands that train, predict or evaluate. */
export const precisionOption = {
  precision: silentDefault(
    option(choice(precisions), {
      flag: "--precision",
      value: "<type>",
      help: "of matrix products, tensorflow engine or --device cuda: float32, tf32 (GPU), bf16 or float16",
      fallback: "float32",
    }),
  ),
};

/** Which engine, as flags name it. */
export type EngineChoice = SettingsOf<typeof engineOptions>["engine"];

/** What a served model's products compute with. */
export const weightForms = ["float32", "int8"] as const;
export type WeightForm = (typeof weightForms)[number];

export const weightsOption = {
  weights: optional(choice(weightForms), {
    flag: "--weights",
    value: "<form>",
    help: "of a folder that flexbert quantize made int8, onnx engine alone: int8 (the default there) or float32",
  }),
};

/** How an export has its weights. */
export const exportPrecisions = ["float32", "float16", "int8"] as const;
export type ExportPrecision = (typeof exportPrecisions)[number];
