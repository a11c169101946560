// Stand-ins for Python's pip, npm and the C++ compiler, as programs on PATH, and wheels for them to bring: what tests of
// `engine install` run against. FAKE_* variables say how they behave. Nothing here uses a network.

import { createHash } from "node:crypto";
import { chmodSync, createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";

/** A wheel with a RECORD; `wrong` names an entry whose listed hash is another. */
export async function writeWheel(
  folder: string,
  file: string,
  entries: Readonly<Record<string, string>>,
  wrong?: string,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const zip = new ZipFile();
  const record: string[] = [];
  for (const [name, content] of Object.entries(entries)) {
    const hash = createHash("sha256").update(name === wrong ? `${content}?` : content);
    record.push(`${name},sha256=${hash.digest("base64url")},${content.length}`);
    zip.addBuffer(Buffer.from(content), name, { mode: name.includes("/bin/") ? 0o100755 : 0o100644 });
  }
  const info = `${file.split("-").slice(0, 2).join("-")}.dist-info/RECORD`;
  zip.addBuffer(Buffer.from(`${[...record, `${info},,`].join("\n")}\n`), info);
  zip.end();
  const target = path.join(folder, file);
  await pipeline(zip.outputStream, createWriteStream(target));
  return target;
}

export const tensorflowEntries = {
  "tensorflow/libtensorflow_cc.so.2": "the library ".repeat(1000),
  "tensorflow/libtensorflow_framework.so.2": "the framework",
  "tensorflow/include/tensorflow/c/c_api.h": "// a header",
  "tensorflow/python/__init__.py": "raise SystemExit('never run')",
};

export const CPU_WHEEL = "tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_17_x86_64.whl";
export const GPU_WHEEL = "tensorflow-2.21.0-cp312-cp312-manylinux_2_17_x86_64.whl";

/**
 * python3 with pip. FAKE_PYTHON "3.11"; FAKE_PIP_VERSION; FAKE_INDEX a folder with wheels and requires.json;
 * FAKE_TAGS the --python-version values that have wheels; FAKE_PIP what goes wrong.
 */
const python = `
const fs = require("node:fs"), path = require("node:path"), crypto = require("node:crypto");
const args = process.argv.slice(2), env = process.env;
const after = (flag) => args[args.indexOf(flag) + 1];
const fail = (text) => { fs.writeSync(2, text + "\\n"); process.exit(1); };
const log = (line) => env.FAKE_LOG && fs.appendFileSync(env.FAKE_LOG, line + "\\n");
if (args[0] === "-c") { console.log((env.FAKE_PYTHON || "3.11").replace(".", " ")); process.exit(0); }
if (env.FAKE_PIP === "absent") fail("No module named pip");
if (env.FAKE_PIP === "settings") fail("An error occurred during configuration: option timeout: invalid floating-point value: 'abc'");
if (args[2] === "--version") { console.log("pip " + (env.FAKE_PIP_VERSION || "23.2.1") + " from somewhere"); process.exit(0); }
log(args.slice(2).join(" "));
const index = env.FAKE_INDEX, digest = (file) => crypto.createHash("sha256").update(fs.readFileSync(file)).digest("hex");
const wheels = fs.readdirSync(index).filter((name) => name.endsWith(".whl"));
const named = (requirement) => {
  const [, name, version] = /^([\\w-]+)(?:==(.*)|.*)$/.exec(requirement);
  if (env.FAKE_PIP === "spelling") return wheels[0];
  return wheels.find((file) => file.startsWith(name.replaceAll("-", "_") + "-" + (version || "")));
};
const offline = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip.Connection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/x/\\nERROR: No matching distribution found for x";
if (env.FAKE_PIP === "offline") fail(offline);
// Why it passes an index over pip says to those alone who ask for it twice.
const passedOver = (reason) => fail((env.PIP_VERBOSE === "2" && env.PIP_QUIET === "0" && !args.includes("--quiet") ? "Could not fetch URL https://index.example/simple/x/: " + reason + " - skipping\\n" : "") + "ERROR: Could not find a version that satisfies the requirement x (from versions: none)\\nERROR: No matching distribution found for x");
if (env.FAKE_PIP === "refused") passedOver("connection error: HTTPSConnectionPool(host='index.example', port=443): Max retries exceeded with url: /simple/x/ (Caused by NewConnectionError('<pip.Connection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))");
if (env.FAKE_PIP === "proxy") passedOver("connection error: HTTPSConnectionPool(host='index.example', port=443): Max retries exceeded with url: /simple/x/ (Caused by ProxyError('Cannot connect to proxy.', NewConnectionError('<pip.Connection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused')))");
if (env.FAKE_PIP === "forbidden") passedOver("403 Client Error: Forbidden for url: https://index.example/simple/x/");
if (env.FAKE_PIP === "not-here") passedOver("404 Client Error: Not Found for url: https://index.example/simple/x/");
if (args[2] === "install") {
  const requirements = args.slice(args.indexOf("--platform")).filter((word) => !word.startsWith("--") && !word.startsWith("manylinux"));
  const tags = (env.FAKE_TAGS || "3.12").split(",");
  const install = requirements.map((requirement) => {
    const file = tags.includes(after("--python-version")) ? named(requirement) : undefined;
    if (!file) fail("ERROR: Could not find a version that satisfies the requirement " + requirement + " (from versions: 2.9.0, 2.21.0rc1, 2.20.0)\\nERROR: No matching distribution found for " + requirement);
    const [name, version] = file.split("-");
    const hash = env.FAKE_PIP === "no-hash" ? {} : { hashes: { sha256: digest(path.join(index, file)) } };
    const requires = JSON.parse(fs.readFileSync(path.join(index, "requires.json"), "utf8"));
    return { download_info: { url: "https://index.example/" + file, archive_info: hash }, metadata: { name: name.replaceAll("_", "-"), version, requires_dist: requires } };
  });
  fs.writeFileSync(after("--report"), JSON.stringify({ install }));
  process.exit(0);
}
const line = fs.readFileSync(after("--requirement"), "utf8").trim().split(" ")[0];
const file = named(line), target = path.join(after("--dest"), file), content = fs.readFileSync(path.join(index, file));
if (env.FAKE_PIP === "half") { fs.writeFileSync(path.join(env.TMPDIR, file), content.subarray(0, 100)); fail("ERROR: pip._vendor.urllib3.exceptions.ProtocolError: ('Connection broken: IncompleteRead(100 bytes read)')"); }
if (env.FAKE_PIP === "wrong-hash") fail("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\\n    x from https://index.example/x:\\n        Expected sha256 " + "a".repeat(64) + "\\n             Got        " + "b".repeat(64));
if (env.FAKE_PIP === "full") fail("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device");
if (env.FAKE_PIP === "unchecked") { content[50] ^= 1; }
if (env.FAKE_PIP === "gone") fail("ERROR: HTTP error 404 while getting https://index.example/x\\nERROR: 404 Client Error: Not Found for url: https://index.example/x");
if (env.FAKE_PIP === "slow") { fs.writeFileSync(path.join(env.TMPDIR, file), content.subarray(0, 100)); log("waiting"); const parent = process.ppid; setInterval(() => process.ppid === parent || process.exit(1), 100); return; }
if (args.includes("raw")) console.log("Progress 10 of " + content.length);
fs.writeFileSync(target, content);
`;

/** Writes its arguments' -o file; FAKE_COMPILER=broken ends with an error. */
const compiler = `
const fs = require("node:fs"), args = process.argv.slice(2);
if (args.includes("--version")) { console.log("fake c++ 12.2"); process.exit(0); }
if (process.env.FAKE_COMPILER === "broken") { console.error("In file included from x:\\nx.cc:1:1: error: 'string_view' is not a member of 'std'"); process.exit(1); }
if (process.env.FAKE_COMPILER === "full") { console.error("{standard input}: Assembler messages:\\n{standard input}: Fatal error: can't write 5 bytes to section .text of /tmp/cc1.o: 'No space left on device'"); process.exit(1); }
fs.writeFileSync(args[args.indexOf("-o") + 1], "compiled");
`;

const npm = `
const fs = require("node:fs"), path = require("node:path"), args = process.argv.slice(2);
const folder = path.join(args[args.indexOf("--prefix") + 1], "node_modules/node-api-headers/include");
fs.mkdirSync(folder, { recursive: true });
for (const name of ["node_api.h", "js_native_api.h"]) fs.writeFileSync(path.join(folder, name), "");
`;

const programs = { python3: python, "c++": compiler, npm } as const;
export type FakeProgram = keyof typeof programs;

/** A folder for PATH with the programs. */
export function writeTools(folder: string, names: readonly FakeProgram[]): string {
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    const file = path.join(folder, name);
    // A wrapper: sources of Node's programs need a name that ends in .js.
    writeFileSync(`${file}.source.js`, programs[name]);
    writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${file}.source.js' "$@"\n`);
    chmodSync(file, 0o755);
  }
  return folder;
}
