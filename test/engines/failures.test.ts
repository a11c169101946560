// What is said of a device that fails: which message of onnxruntime's becomes which error, and what stays a defect.

import { expect, test } from "@jest/globals";
import { OrtError } from "../../src/engines/onnx/device/c-api";
import { DeviceLost, explainOpening, explainRun, explainVulkan } from "../../src/engines/onnx/device/failures";
import { ExitCode, UserError } from "../../src/errors/errors";

test.each([
  [
    "Failed to allocate memory for requested buffer of size 94371840",
    /cuda has too little memory .*smaller --batch-size/,
  ],
  ["CUDA failure 2: out of memory ; GPU=0", /cuda has too little memory/],
  ["Device was lost: VK_ERROR_DEVICE_LOST", /cuda was lost .*Run the command again/],
  ["CUDA error 719: unspecified launch failure", /cuda was lost/],
  ["Non-zero status code returned while running MatMul", /cuda fails \(Non-zero .*Try another --device/],
])("%s", (message, told) => {
  const error = explainRun("cuda", new OrtError(`${message} (RunWithBinding)`)) as UserError;
  expect(error).toBeInstanceOf(UserError);
  expect([error.exitCode, error.message]).toEqual([ExitCode.engineAbsent, expect.stringMatching(told)]);
  expect(error instanceof DeviceLost).toBe(/lost|unspecified/.test(message));
  expect(error.lines).toHaveLength(1);
});

test("what onnxruntime did not say stays as it is", () => {
  const defect = new TypeError("x is undefined");
  expect(explainRun("webgpu", defect)).toBe(defect);
});

test("places in onnxruntime's source and Node's require stacks are left out", () => {
  const said =
    "/onnxruntime_src/onnxruntime/core/x.cc:136 onnxruntime::f(const a&)::<lambda()> status == Success was false. No supported adapters";
  expect(explainOpening(new OrtError(said)).reason).toBe("No supported adapters");
  const missing = explainOpening(new Error("Cannot find module 'koffi'\nRequire stack:\n- /a/b.js"));
  expect(missing).toEqual({
    reason: "the package koffi is not installed",
    remedy: expect.stringMatching(/^Run: npm install/),
  });
});

test.each([
  [
    "no Vulkan loader: libvulkan.so.1: cannot open shared object file",
    /libvulkan\.so\.1 is not installed/,
    /libvulkan1 of Debian/,
  ],
  ["its process ended on SIGSEGV", /cannot be listed: its process ended on SIGSEGV/, /flexbert doctor/],
])("Vulkan: %s", (problem, reason, remedy) => {
  expect(explainVulkan(problem)).toEqual({
    reason: expect.stringMatching(reason),
    remedy: expect.stringMatching(remedy),
  });
});
