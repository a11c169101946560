// TensorFlow writes lines to the C++ stderr while its library loads, before any of its settings count. A small addon,
// compiled beside TensorFlow's, turns descriptor 2 away for that moment; Node alone cannot.

import { existsSync } from "node:fs";
import path from "node:path";

/** C++: `hold()` points stderr to a memory file, `release()` points it back and returns what was written. */
export const stderrSwitchSource = `
#include <node_api.h>
#include <stdio.h>
#include <string>
#include <unistd.h>

static int saved = -1;
static FILE *held = nullptr;

static napi_value Hold(napi_env env, napi_callback_info) {
  if (saved >= 0) return nullptr;
  fflush(stderr);
  held = tmpfile();
  if (held == nullptr) return nullptr;
  saved = dup(2);
  if (saved >= 0) dup2(fileno(held), 2);
  return nullptr;
}

static napi_value Release(napi_env env, napi_callback_info) {
  std::string text;
  if (saved >= 0) {
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    saved = -1;
  }
  if (held != nullptr) {
    rewind(held);
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, held)) > 0) text.append(buffer, got);
    fclose(held);
    held = nullptr;
  }
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

static napi_value Init(napi_env env, napi_value exports) {
  napi_value hold, release;
  napi_create_function(env, "hold", NAPI_AUTO_LENGTH, Hold, nullptr, &hold);
  napi_create_function(env, "release", NAPI_AUTO_LENGTH, Release, nullptr, &release);
  napi_set_named_property(env, exports, "hold", hold);
  napi_set_named_property(env, exports, "release", release);
  return exports;
}

NAPI_MODULE(stderr_switch, Init)
`;

interface StderrSwitch {
  hold(): void;
  release(): string;
}

/**
 * Runs `work` with stderr turned away, where the build in `folder` has the switch. What was written meanwhile
 * belongs to an error, if `work` throws one, and is else dropped.
 */
export function withStderrHeld<T>(folder: string | null, name: string, work: () => T): T {
  const file = folder === null ? null : path.join(folder, name);
  if (file === null || !existsSync(file)) return work();
  const turned = require(file) as StderrSwitch;
  turned.hold();
  let said = "";
  try {
    const result = work();
    turned.release();
    return result;
  } catch (error) {
    said = turned.release().trim();
    if (said !== "" && error instanceof Error) error.message += `\n${said}`;
    throw error;
  }
}
