// What lies in a model file's place where the file itself did not come: a clone without git-lfs leaves a pointer of three lines,
// a refused download a web page.

import { modelError } from "../../errors/errors";

/** Throws modelError (4) for a beginning that is one of these. */
export function requireContent(head: Uint8Array | string, file: string): void {
  const text = typeof head === "string" ? head.slice(0, 64) : new TextDecoder("latin1").decode(head.subarray(0, 64));
  if (text.startsWith("version https://git-lfs")) {
    throw modelError(`${file} is a pointer of git-lfs, its content was not fetched. Run git lfs pull there`);
  }
  if (/^\s*<(!doctype html|html)/i.test(text)) {
    throw modelError(`${file} is a web page, which a server sent instead of the file. Fetch it again`);
  }
}
