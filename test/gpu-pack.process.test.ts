// What bench/gpu packs for a GPU machine: device code pruned to one architecture, and archives cut and joined. No GPU, nothing
// of NVIDIA's and no network: the library is made here.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import zlib from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { unless } from "./skips";

const scripts = path.join(__dirname, "../bench/gpu");
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(path.join(os.tmpdir(), "gpu-pack-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs lines of a module that has one of bench/gpu as `m`, and gives what it printed; Jest loads no modules. */
function inModule(script: string, lines: string): { stdout: string; stderr: string; status: number | null } {
  const url = pathToFileURL(path.join(scripts, script)).href;
  const code = `import fs from "node:fs"; import * as m from ${JSON.stringify(url)}; ${lines}`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", code], { cwd: scratch, encoding: "utf8" });
}

interface Entry {
  readonly kind: "cubin" | "ptx";
  readonly arch: number;
  readonly payload: Buffer;
  readonly headerBytes?: number;
  readonly compressed?: number;
  readonly unpacked?: number;
}

const cubin = (arch: number, fill = arch, bytes = 24): Entry => ({
  kind: "cubin",
  arch,
  payload: Buffer.alloc(bytes, fill),
});
const ptx = (arch: number): Entry => ({ kind: "ptx", arch, payload: Buffer.alloc(16, 200) });

function entryBytes({ kind, arch, payload, headerBytes = 64, compressed = 0, unpacked = 0 }: Entry): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16LE(kind === "ptx" ? 1 : 2, 0);
  header.writeUInt32LE(headerBytes, 4);
  header.writeBigUInt64LE(BigInt(payload.length), 8);
  header.writeUInt32LE(compressed, 16);
  header.writeUInt32LE(arch, 28);
  header.writeBigUInt64LE(BigInt(unpacked), 56);
  return Buffer.concat([header, payload]);
}

/** @param before what the container held before it was pruned: zeroes fill its room */
function container(entries: readonly Entry[], before: readonly Entry[] = entries): Buffer {
  const room = Buffer.concat(before.map(entryBytes)).length;
  const body = Buffer.concat(entries.map(entryBytes));
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([header, body, Buffer.alloc(room - body.length)]);
}

/** A 64-bit ELF file with three sections: none, .nv_fatbin, and the names. */
function library(fatbin: Buffer): Buffer {
  const names = Buffer.from("\0.nv_fatbin\0.shstrtab\0");
  const section = (name: number, offset: number, bytes: number) => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(name, 0);
    header.writeBigUInt64LE(BigInt(offset), 0x18);
    header.writeBigUInt64LE(BigInt(bytes), 0x20);
    return header;
  };
  const head = Buffer.alloc(64);
  head.writeUInt32BE(0x7f454c46, 0);
  head.set([2, 1], 4);
  head.writeBigUInt64LE(BigInt(64 + fatbin.length + names.length), 0x28);
  head.writeUInt16LE(64, 0x3a);
  head.writeUInt16LE(3, 0x3c);
  head.writeUInt16LE(2, 0x3e);
  const sections = [section(0, 0, 0), section(1, 64, fatbin.length), section(12, 64 + fatbin.length, names.length)];
  return Buffer.concat([head, fatbin, names, ...sections]);
}

function pruned(file: Buffer, arch: number) {
  writeFileSync(path.join(scratch, "library.so"), file);
  const lines = `const file = fs.readFileSync("library.so"); const { rows } = m.prune(file, ${arch});
    fs.writeFileSync("pruned.so", file); console.log(JSON.stringify(rows));`;
  const { stdout, stderr, status } = inModule("fatbin.mjs", lines);
  return { status, stderr, rows: () => JSON.parse(stdout), file: () => readFileSync(path.join(scratch, "pruned.so")) };
}

describe("device code of one architecture", () => {
  test("its own cubins stay, of every variant; zeroes are where the rest was, and no container moves", () => {
    const first = cubin(90);
    const second: Entry = { ...cubin(90, 91), headerBytes: 112 };
    const before = [cubin(75), first, second, ptx(90), cubin(120)];
    const alone = container([cubin(90, 7, 40)]);
    const result = pruned(library(Buffer.concat([container(before), alone])), 90);
    expect([result.status, result.stderr]).toEqual([0, ""]);
    expect(result.file()).toEqual(library(Buffer.concat([container([first, second], before), alone])));
    expect(result.rows()).toEqual([
      { name: "cubin 75", kept: 0, keptBytes: 0, dropped: 1, droppedBytes: 24 },
      { name: "cubin 90", kept: 3, keptBytes: 88, dropped: 0, droppedBytes: 0 },
      { name: "cubin 120", kept: 0, keptBytes: 0, dropped: 1, droppedBytes: 24 },
      { name: "PTX 90", kept: 0, keptBytes: 0, dropped: 1, droppedBytes: 16 },
    ]);
  });

  test.each([
    {
      arch: 89,
      entries: [cubin(80), cubin(86), cubin(90)],
      stay: [cubin(86)],
      why: "the nearest earlier of its major version",
    },
    {
      arch: 90,
      entries: [cubin(80), ptx(80), cubin(120)],
      stay: [ptx(80)],
      why: "PTX where no cubin of its major version is",
    },
    {
      arch: 86,
      entries: [cubin(80), ptx(75)],
      stay: [cubin(80), ptx(75)],
      why: "both where the cubin is an earlier one's",
    },
    {
      arch: 75,
      entries: [cubin(80), cubin(120)],
      stay: [],
      why: "the container stays whole where nothing in it would run",
    },
  ])("without a cubin of its own: $why", ({ arch, entries, stay }) => {
    const left = stay.length > 0 ? container(stay, entries) : container(entries);
    expect(pruned(library(container(entries)), arch).file()).toEqual(library(left));
  });

  const whole = container([cubin(80), cubin(90)]);
  const altered = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return library(Buffer.concat([bytes, whole]));
  };
  test.each([
    ["a container that ends elsewhere", altered((bytes) => bytes.writeBigUInt64LE(BigInt(whole.length - 24), 8))],
    ["a container past the section's end", library(whole.subarray(0, -8))],
    ["an entry past its container", altered((bytes) => bytes.writeBigUInt64LE(4096n, 16 + 8))],
    ["another kind of entry", altered((bytes) => bytes.writeUInt16LE(8, 16))],
    ["another version", altered((bytes) => bytes.writeUInt16LE(2, 4))],
    ["bytes between containers", library(Buffer.concat([whole, Buffer.alloc(8), whole]))],
    ["no ELF file", Buffer.from("#!/bin/sh\n".repeat(20))],
  ])("%s is refused", (_, file) => {
    const { status, stderr } = pruned(file, 90);
    expect(status).toBe(1);
    expect(stderr).toMatch(/Error: .*(container|entry|ELF)/);
  });
});

const zstd = (zlib as { zstdCompressSync?: (bytes: Buffer, options: object) => Buffer }).zstdCompressSync;

unless(zstd ? null : "this Node has no Zstandard: 22.15 or later has").test(
  "cubins travel unpacked, and the library is the pruned one again, byte by byte",
  () => {
    const compress = (bytes: Buffer, level: number): Entry => {
      const options = { params: { 100: level }, pledgedSrcSize: bytes.length, chunkSize: bytes.length + 65536 };
      const frame = zstd?.(bytes, options) as Buffer;
      const padded = Buffer.concat([frame, Buffer.alloc((8 - (frame.length % 8)) % 8)]);
      return { kind: "cubin", arch: 90, payload: padded, compressed: frame.length, unpacked: bytes.length };
    };
    const text = (seed: number) => Buffer.from(Array.from({ length: 60_000 }, (_, i) => ((i * i * seed) >> 7) % 37));
    // The second is of another level: it stays as it is. The last is not compressed.
    const entries = [compress(text(3), 19), compress(text(5), 1), cubin(80), compress(text(7), 19), cubin(90)];
    const file = path.join(scratch, "whole.so");
    writeFileSync(file, library(container(entries)));
    const run = (...args: string[]) =>
      execFileSync(process.execPath, [path.join(scripts, "cubins.mjs"), ...args], { encoding: "utf8" });
    const { sha256, cubins, taken } = JSON.parse(run("take", file, "90", path.join(scratch, "cubins")));
    expect([cubins, taken]).toEqual([4, 2]);
    expect(readFileSync(path.join(scratch, "cubins/cubins"))).toEqual(Buffer.concat([text(3), text(7)]));
    run("put", file, path.join(scratch, "cubins"));
    const kept = entries.filter(({ arch }) => arch === 90);
    expect(readFileSync(file)).toEqual(library(container(kept, entries)));
    expect(createHash("sha256").update(readFileSync(file)).digest("hex")).toBe(sha256);
  },
);

const hooks = "registerHooks" in require("node:module");

unless(hooks ? null : "this Node has no module hooks: 22.15 or later has").test(
  "code comes along whatever its folder is called; a package's own tests and documentation do not",
  () => {
    const root = path.join(__dirname, "..");
    const listed = execFileSync(process.execPath, [path.join(scripts, "modules.mjs"), root], { encoding: "utf8" });
    const files: string[] = JSON.parse(listed);
    expect(files).toContain("node_modules/yaml/dist/doc/directives.js");
    expect(files).toContain("node_modules/pino/lib/worker.js"); // loaded by name, late
    expect(files.filter((file) => /^node_modules\/(@[^/]+\/)?[^/]+\/(tests?|docs?)\//.test(file))).toEqual([]);
    expect(files.filter((file) => /darwin|win32|arm64/.test(file) && /\.(node|dll|dylib|so)/.test(file))).toEqual([]);
  },
);

const python = spawnSync("python3", ["--version"]).status === 0;

describe("pieces", () => {
  let folder: string;
  beforeAll(() => {
    folder = path.join(scratch, "pieces");
    for (const name of [folder, path.join(scratch, "tree/bin")]) mkdirSync(name, { recursive: true });
  });

  test("cut and joined, a file is the same; pieces of an earlier, longer one go", () => {
    writeFileSync(path.join(scratch, "archive"), Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251)));
    for (const stale of ["a.xz.003", "a.xz.004"]) writeFileSync(path.join(folder, stale), "old");
    const lines = `await m.cut("archive", "pieces", "a.xz", 300); await m.join("pieces", "a.xz", "joined");
      console.log(fs.readdirSync("pieces").join(" "));`;
    const { stdout, stderr } = inModule("pieces.mjs", lines);
    expect([stdout.trim(), stderr]).toEqual(["a.xz.000 a.xz.001 a.xz.002 a.xz.003 a.xz.json", ""]);
    expect(readFileSync(path.join(scratch, "joined"))).toEqual(readFileSync(path.join(scratch, "archive")));
  });

  test("what is missing or damaged is named", () => {
    rmSync(path.join(folder, "a.xz.001"));
    writeFileSync(path.join(folder, "a.xz.002"), "short");
    const { stderr } = inModule("pieces.mjs", `await m.join("pieces", "a.xz", "again")`);
    expect(stderr).toContain("Error: a.xz.001 is missing, a.xz.002 is damaged");
    expect(existsSync(path.join(scratch, "again"))).toBe(false);
  });

  unless(python ? null : "there is no python3").test("unpack.py unpacks, once, and names what is missing", () => {
    writeFileSync(path.join(scratch, "tree/bin/program"), "runs");
    // Two streams of one tar, as pack.mjs writes it.
    const make = `import io, lzma, tarfile
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w") as tar: tar.add("tree/bin", "bin")
bytes = raw.getvalue()
open("code.xz", "wb").write(lzma.compress(bytes[:1024]) + lzma.compress(bytes[1024:]))`;
    execFileSync("python3", ["-c", make], { cwd: scratch });
    inModule("pieces.mjs", `await m.cut("code.xz", "pieces", "flexbert-gpu-code.tar.xz", 100)`);
    const unpack = () =>
      spawnSync("python3", [path.join(scripts, "unpack.py"), "pieces", "unpacked", "code"], {
        cwd: scratch,
        encoding: "utf8",
      });
    const second = path.join(folder, "flexbert-gpu-code.tar.xz.001");
    copyFileSync(second, path.join(scratch, "aside"));
    rmSync(second);
    expect(unpack()).toMatchObject({ status: 1, stderr: "flexbert-gpu-code.tar.xz.001 is missing\n" });
    expect(existsSync(path.join(scratch, "unpacked/bin"))).toBe(false);
    copyFileSync(path.join(scratch, "aside"), second);
    expect(unpack()).toMatchObject({ status: 0, stderr: "" });
    expect(readFileSync(path.join(scratch, "unpacked/bin/program"), "utf8")).toBe("runs");
    rmSync(second);
    expect(unpack()).toMatchObject({ status: 0, stdout: "code is there already\n" });
  });
});
