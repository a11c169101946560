// The format of a file of flexbert's own, and which flexbert wrote it: a number that grows where older versions could not
// read what is written, and a version for people. 0.1.0 wrote no version; its files are read as any other's.

import { shown } from "../errors/printable";
import { packageVersion } from "./version";

/** What such a file holds beside its content. */
export interface Stamp {
  readonly format: number;
  /** The version that wrote the file last; absent where 0.1.0 did. */
  readonly flexbert?: string | undefined;
}

/** The content as it is written: naming this flexbert, whoever wrote the file before. */
export function stamped<T extends Stamp>(content: T) {
  const { format: _, flexbert: __, ...rest } = content;
  // Destructuring would widen it to number.
  return { format: content.format as T["format"], flexbert: packageVersion(), ...rest };
}

/** Why a file that was parsed is of no format read here, in words that follow its name; null where it is, or says none. */
export function formatProblem(content: unknown, known: number): string | null {
  const { format, flexbert } = Object(content) as { format?: unknown; flexbert?: unknown };
  if (format === undefined || format === known) return null;
  const problem = `has format ${shown(format)}; this flexbert reads format ${known}`;
  if (typeof format !== "number" || format < known) return problem;
  const maker = typeof flexbert === "string" ? `flexbert ${flexbert}` : "a newer flexbert";
  return `${problem}. It was made by ${maker}; this is ${packageVersion()}: update flexbert to read it`;
}
