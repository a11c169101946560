// A pack: the program for one platform, alone or as a function with its model, written whole or not at all.

import { existsSync, readdirSync, statSync } from "node:fs";
import { copyFile, mkdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { readJson } from "../../checkpoints/bases/json";
import { modelError, usageError } from "../../errors/errors";
import { requireRoom } from "../../export/target";
import { formatBytes, replaceFolder, requireFreeSpace, temporaryPath } from "../../files/atomic";
import { storageFailure } from "../../files/storage-failure";
import { writeZipOf } from "../../files/zip-write";
import { readVersion } from "../../merge/folder/version";
import { bytesOf, type PackedFile, written } from "./contents";
import { type ModelRequest, modelFiles, type PackedModel } from "./model-files";
import { ownFiles, type Platform, packageFiles, tokenizerPackages } from "./program";

/** What a function may unpack to, layers counted in. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const FUNCTION_BYTES = 250 * 2 ** 20;

export interface Pack {
  readonly files: readonly PackedFile[];
  readonly model: Omit<PackedModel, "files"> | null;
}

export interface FunctionRequest extends Omit<ModelRequest, "maySaturate"> {
  readonly version?: string | undefined;
  readonly arch: Platform["arch"];
}

/**
 * What a function of a version is made of. Throws as {@link modelFiles}, and modelError (4) where it would unpack to more than
 * a function may.
 */
export async function planFunction(
  { version, arch, ...request }: FunctionRequest,
  most = FUNCTION_BYTES,
): Promise<Pack> {
  const found = await readVersion(request.folder, { version });
  const { files, ...model } = await modelFiles(found, { ...request, maySaturate: arch === "x64" }, "merged/");
  const all = [
    written("index.js", entryOf(model), "flexbert"),
    ...ownFiles("function", "flexbert/"),
    ...packageFiles("function", { os: "linux", arch }, await tokenizerOf(request.folder)),
    ...files,
  ];
  requireFits(all, { ...model, arch, folder: request.folder }, most);
  return { files: all, model };
}

/** The packages of a folder's tokenizer: WordPiece has none. */
async function tokenizerOf(folder: string): Promise<readonly string[]> {
  const file = Object(await readJson(path.join(folder, "tokenizer.json")));
  return ["BPE", "Unigram"].includes(Object(file.model).type) ? tokenizerPackages : [];
}

const entryOf = ({ tasks, weights }: Pick<PackedModel, "tasks" | "weights">): string => `// Made by flexbert pack.
const path = require("node:path");
const { openFunction } = require(path.join(__dirname, "flexbert/dist/serve/lambda/function.js"));

exports.handler = openFunction({
  folder: path.join(__dirname, "merged"),
  tasks: ${JSON.stringify(tasks)},
  weights: ${JSON.stringify(weights)},
});
`;

const SHOWN = 3;

interface Fitted extends Pick<PackedModel, "weights" | "tasks"> {
  readonly arch: string;
  readonly folder: string;
}

function requireFits(files: readonly PackedFile[], model: Fitted, most: number): void {
  const bytes = bytesOf(files);
  if (bytes <= most) return;
  const { arch, folder } = model;
  const largest = [...files].sort((a, b) => b.bytes - a.bytes).slice(0, SHOWN);
  const named = largest.map((file) => `${path.posix.basename(file.name)} ${formatBytes(file.bytes)}`).join(", ");
  const helps = [
    ...(model.weights === "float32" ? [`int8 weights (flexbert quantize --merged ${folder})`] : []),
    ...(model.weights === "int8" && arch === "x64" ? ["--arch arm64, which needs int8 weights once alone"] : []),
    ...(model.tasks.length > 1 ? ["fewer tasks (--task)"] : []),
  ];
  throw modelError(
    `the function would unpack to ${formatBytes(bytes)}, and may to ${formatBytes(most)}. Largest: ${named}. ` +
      `What helps: ${helps.join("; ") || "a smaller base"}`,
  );
}

/** The program of a server, without a model. */
export const planServer = (platform: Platform): Pack => ({
  files: [...ownFiles("server", ""), ...packageFiles("server", platform)],
  model: null,
});

/** @returns bytes of the zip */
export async function writeFunction({ files }: Pack, out: string, force: boolean): Promise<number> {
  requireNoFile(out, force);
  await requireFreeSpace(path.dirname(path.resolve(out)), bytesOf(files), out);
  await writeZipOf(out, files);
  return (await stat(out)).size;
}

export async function writeServer({ files }: Pack, out: string, force: boolean): Promise<number> {
  requireRoom({ out, force }, { title: "a server's pack", isExport: isServerPack });
  const made = temporaryPath(out);
  try {
    await requireFreeSpace(path.dirname(path.resolve(out)), bytesOf(files), out);
    for (const { name, from } of files) {
      const target = path.join(made, name);
      await mkdir(path.dirname(target), { recursive: true });
      if ("file" in from) await copyFile(from.file, target);
      else await writeFile(target, from.content);
    }
    await replaceFolder(made, out);
  } catch (error) {
    await rm(made, { recursive: true, force: true }).catch(() => undefined); // the first error is the one to show
    throw storageFailure(error, out);
  }
  return bytesOf(files);
}

function requireNoFile(out: string, force: boolean): void {
  const found = statSync(out, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw usageError(`${out} is a folder. Give --out with the name of a zip`);
  if (found && !force) throw usageError(`${out} is there already. Give --force to replace it, or another --out`);
}

/** What a pack of the program has in it, and a clone has not alone. */
const serverEntries = ["LICENSE", "THIRD-PARTY-LICENSES.md", "bin", "dist", "node_modules", "package.json"];

const isServerPack = (folder: string): boolean =>
  existsSync(path.join(folder, "bin/flexbert.js")) && readdirSync(folder).every((name) => serverEntries.includes(name));
