// A YAML file that a user wrote: its content, and one report that names every problem in it with its line.

import { type Document, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { z } from "zod";
import { type UserError, usageError } from "../errors/errors";
import { asText, shown } from "../errors/printable";
import { isPlainData } from "../files/json";
import { readWhole } from "../files/read-whole";
import { decodeText } from "../files/written-text";
import { didYouMean } from "../messages/nearest";
import { nestsTooDeep } from "./yaml-nesting";

/** Where in a file: ["tasks", 0, "columns", "text"]. */
export type EntryPath = readonly PropertyKey[];

export interface Problem {
  readonly path: EntryPath;
  readonly message: string;
}

export interface YamlFile {
  readonly content: unknown;
  /** One line for one problem; else a line each, in the file's order. */
  report(problems: readonly Problem[]): UserError;
}

/**
 * Reads the text of a file.
 * @param what an error calls it: "the tasks file"
 * @throws UserError (exit code 2) for one that cannot be read or is no text
 */
export async function readYamlText(file: string, what: string): Promise<string> {
  const bytes = await readWhole(file).catch((cause: NodeJS.ErrnoException) => {
    throw usageError(`${file}: cannot read ${what} (${cause.code})`, cause);
  });
  const text = decodeText(bytes);
  if (text === null)
    throw usageError(`${file}: ${what} is neither UTF-8 nor UTF-16 with a byte order mark. Save it as UTF-8`);
  return text;
}

/**
 * Parses the text of a file.
 * @param textKeys keys under which numbers and booleans keep their source text: YAML reads 0, 1.0, 01 and true as values
 * @throws UserError (exit code 2) naming the file and every syntax error with its line
 */
export function parseYamlFile(file: string, text: string, textKeys: readonly string[] = []): YamlFile {
  const lines = new LineCounter();
  const document = documentOf(text, file, lines);
  const lineAt = (offset: number) => lines.linePos(offset).line;
  if (document.errors.length > 0) {
    throw joined(
      file,
      document.errors.slice(0, MOST_SYNTAX_ERRORS).map(({ pos, message }) => ({ line: lineAt(pos[0]), message })),
    );
  }
  keepAsWritten(document, textKeys);
  return {
    content: contentOf(document, file),
    report: (problems) =>
      joined(
        file,
        problems.map(({ path, message }) => ({
          line: lineAt(offsetOf(document, path)),
          message: `${pathText(path)}${message}`,
        })),
      ),
  };
}

function keepAsWritten(document: Document, keys: readonly string[]): void {
  if (keys.length === 0) return;
  visit(document, {
    Scalar(_, node, ancestors) {
      const under = ancestors.some(
        (above) => isPair(above) && isScalar(above.key) && keys.includes(String(above.key.value)),
      );
      if (under && typeof node.value !== "string" && node.source) node.value = node.source;
    },
  });
}

/** What comes behind the first few is mostly their consequence. */
const MOST_SYNTAX_ERRORS = 10;

function documentOf(text: string, file: string, lineCounter: LineCounter): Document {
  if (nestsTooDeep(text)) throw usageError(`${file}: it nests too deep to be read`);
  return parseDocument(text, { lineCounter, prettyErrors: false, logLevel: "error", resolveKnownTags: false });
}

function contentOf(document: Document, file: string): unknown {
  let content: unknown;
  try {
    content = document.toJS();
  } catch (cause) {
    throw usageError(`${file}: ${(cause as Error).message}`, cause); // an alias without its anchor, or with too many of them
  }
  if (isPlain(content, 0)) {
    if (isPlainData(content)) return content;
    throw usageError(`${file}: a key in it is called toString or valueOf, which no such file has`);
  }
  throw usageError(`${file}: it nests deeper than ${DEEPEST} levels, or an alias stands inside of its own anchor`);
}

/** No file of ours goes beyond ten. */
const DEEPEST = 100;

function isPlain(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth < DEEPEST && Object.values(value).every((inner) => isPlain(inner, depth + 1));
}

/** Where the deepest part of a path that exists begins, in characters from the file's start. */
function offsetOf(document: Document, at: EntryPath): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const key of at) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (!pair || !isNode(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[key as number];
      offset = (isNode(node) ? node.range?.[0] : undefined) ?? offset;
    } else break;
  }
  return offset;
}

/** `tasks[0].columns.text: `, or nothing for the file as a whole. */
function pathText(at: EntryPath): string {
  const text = at.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return text === "" ? "" : `${text.slice(1)}: `;
}

function joined(file: string, problems: readonly { line: number; message: string }[]): UserError {
  const sorted = [...problems].sort((a, b) => a.line - b.line);
  const texts = sorted.map(({ line, message }) => `line ${line}: ${message}`);
  const [only] = texts;
  return usageError(
    texts.length === 1
      ? `${file}, ${only}`
      : [`${file}: ${texts.length} problems`, ...texts.map((text) => `  ${text}`)],
  );
}

export function valueAt(content: unknown, at: EntryPath): unknown {
  return at.reduce<unknown>((node, key) => (node as Record<PropertyKey, unknown> | null | undefined)?.[key], content);
}

/**
 * What a schema's issue says in words.
 * @param keysAt the keys that the object at a path may have
 */
export function schemaProblems(
  issue: z.core.$ZodIssue,
  content: unknown,
  keysAt: (at: EntryPath) => readonly string[],
): Problem[] {
  const value = valueAt(content, issue.path);
  if (issue.code === "unrecognized_keys") {
    const allowed = keysAt(issue.path);
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `unknown key${didYouMean(key, allowed)}; ${allowed.length > 0 ? `the keys here are ${allowed.join(", ")}` : "there are no keys here"}`,
    }));
  }
  if (value === undefined) return [{ path: issue.path, message: "is missing" }];
  if (issue.code === "invalid_value") {
    const allowed = issue.values.map(String);
    const hint = didYouMean(asText(value), allowed);
    return [{ path: issue.path, message: `${shown(value)} is none of ${allowed.join(", ")}${hint}` }];
  }
  const wanted = issue.code === "invalid_type" ? `must be of type ${issue.expected}` : issue.message;
  return [{ path: issue.path, message: `${wanted}, got ${shown(value)}` }];
}

/** JSON has no NaN and would call it null. */
