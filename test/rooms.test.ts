// The layout of src/: one ordered list of rooms. A file imports only from its own room and from rooms that stand before
// it, types included; no files import each other in a circle; native packages are loaded in one room.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** A folder in a folder of the list has a place of its own only where it is named. A new room is a line here. */
const rooms = [
  ...[
    "client",
    "errors",
    "messages",
    "random",
    "files",
    "options",
    "settings",
    "model",
    "tasks",
    "data",
    "tokenizer",
    "batches",
  ],
  ...["checkpoints", "exits", "selection", "compile", "engines", "merge/folder", "export", "merge", "training"],
  ...["recipes", "predict", "quantise", "serve", "experiment", "jobs", "report", "benchmark", "api", "cli"],
];
const NATIVE = /^(@tensorflow\/(tfjs-node|tfjs-backend-|tfjs$)|onnxruntime-node$)/;

const root = path.join(__dirname, "../src");
const files = readdirSync(root, { recursive: true })
  .map((file) => String(file).replaceAll(path.sep, "/"))
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));

/** What a file names in `import`, `import type`, `export from`, `import()` and `require()`. */
const named = (file: string): string[] =>
  [
    ...readFileSync(path.join(root, file), "utf8").matchAll(/(?:\bfrom|^import|\bimport\(|\brequire\()\s*"([^"]+)"/gm),
  ].map(([, name]) => name as string);

const imports = new Map(
  files.map((file) => {
    const local = named(file).filter((name) => name.startsWith("."));
    return [file, local.map((name) => `${path.posix.join(path.posix.dirname(file), name.replace(/\.js$/, ""))}.ts`)];
  }),
);

const roomOf = (file: string): string => {
  const fitting = rooms.filter((room) => file.startsWith(`${room}/`));
  return fitting.sort((a, b) => b.length - a.length)[0] ?? `no room: ${file}`;
};

test("every file lies in a room of the list, and every import is of a file", () => {
  expect(files.length).toBeGreaterThan(200);
  expect(files.map(roomOf).filter((room) => room.startsWith("no room"))).toEqual([]);
  const known = new Set(files);
  expect(
    [...imports].flatMap(([file, names]) => names.filter((name) => !known.has(name)).map((name) => `${file}: ${name}`)),
  ).toEqual([]);
});

test("a file imports only from rooms before its own", () => {
  const place = (file: string) => rooms.indexOf(roomOf(file));
  const wrong = [...imports].flatMap(([file, names]) =>
    names.filter((name) => place(name) > place(file)).map((name) => `${file} imports ${name}`),
  );
  expect(wrong).toEqual([]);
});

test("no files import each other in a circle, not even for types", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
    if (done.has(file) || trail.includes(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test("only engines/ names native packages", () => {
  const outside = files.filter((file) => roomOf(file) !== "engines");
  expect(outside.filter((file) => named(file).some((name) => NATIVE.test(name)))).toEqual([]);
});
