// Files of torch.save: those that PyTorch wrote equal what safetensors wrote, and what is no weights is refused by name.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { readSafetensors } from "../../../src/checkpoints/formats/safetensors";
import { openTorch } from "../../../src/checkpoints/formats/torch";
import { ExitCode } from "../../../src/errors/errors";
import type { HostTensor, HostTensors } from "../../../src/model/tensors";
import { temporaryFolder } from "../../files/temporary-folder";
import { ownReference } from "../../reference";
import { fixture, maliciousPickles, readAll, writeLegacy, writeTorchZip } from "./torch-files";

let folder: string;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder, "pytorch_model.bin");
});

const bits = ({ data }: HostTensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");

function expectSame(actual: HostTensors, expected: HostTensors): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) {
    const found = actual[name] as HostTensor;
    expect([name, found.dtype, found.shape]).toEqual([name, tensor.dtype, tensor.shape]);
    expect([name, bits(found)]).toEqual([name, bits(tensor)]);
  }
}

async function expectRefused(reading: Promise<unknown>, message: string | RegExp): Promise<void> {
  await expect(reading).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.model });
  await expect(reading).rejects.toThrow(message);
  await expect(reading).rejects.toThrow(/^[^\p{C}\u2028]+$/u);
}

describe("what PyTorch wrote", () => {
  test.each(["zip.bin", "legacy.bin"])("%s equals its safetensors, tensor by tensor", async (name) => {
    const { tensors } = await readSafetensors(path.join(ownReference, "micro-bert/model.safetensors"));
    expectSame((await readAll(openTorch, fixture(name))).tensors, tensors);
  });

  test.each(["kinds.bin", "kinds-legacy.bin"])("%s: every type of number and every view of a storage", async (name) => {
    const { tensors, dtypes } = await readAll(openTorch, fixture(name));
    expectSame(tensors, (await readSafetensors(fixture("kinds.safetensors"))).tensors);
    expect(dtypes.get("half_transposed")).toBe("F16");
  });

  test("only what is selected is read", async () => {
    const { tensors } = await readAll(openTorch, fixture("kinds.bin"), (name) => name === "columns");
    expect(Object.keys(tensors)).toEqual(["columns"]);
  });

  test.each(["zip.bin", "legacy.bin"])("%s cut off anywhere is an error (exit 4)", async (name) => {
    const whole = readFileSync(fixture(name));
    for (let length = 0; length < whole.length; length += 37) {
      writeFileSync(file, whole.subarray(0, length));
      await expect(readAll(openTorch, file)).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.model });
    }
  });
});

/** What the error says of each; the rest are damaged. */
const causes: Readonly<Record<string, RegExp>> = {
  "os.system": /asks for (posix|nt)\.system, which no weights need. Nothing of it was run/,
  "builtins.eval": /asks for __builtin__\.eval, which/,
  "builtins.exec by protocol 4": /asks for builtins\.exec, which/,
  "nested reduce": /asks for __builtin__\.getattr, which/,
  "subprocess.Popen": /asks for commands\.Popen, which/,
  "pickle within a pickle": /asks for pickle\.loads, which/,
  "torch.load": /asks for torch\.serialization\.load, which/,
  "torch.hub.load": /asks for torch\.hub\.load, which/,
  "an instance (INST)": /\(83\)/,
  "an instance (INST), bare": /asks for os\.system, which/,
  "an object (NEWOBJ)": /makes an object of a class/,
  "an extension (EXT1)": /asks for a registered extension/,
  "a reduce of a tensor type": /calls what is no function/,
  "the state of a list": /sets the state of what is no dictionary/,
  "a text of 2^62 bytes": /claims 4611686018427388000 bytes/,
  "bytes of 4 GiB": /claims 4294967295 bytes/,
  "an integer of 2 GiB": /an integer of 2147483647 bytes/,
  "a list in itself": /holds no dictionary of tensors/,
  "a dictionary in itself": /holds no tensors by name/,
  "a memo bomb": /holds no dictionary of tensors/,
  "a tensor of 2^80 elements": /repeats the numbers of its storage/,
  "a tensor of 2^40 elements": /repeats the numbers of its storage/,
  "a tensor beyond its storage": /ends at element 8 of a storage of 4/,
  "a tensor beyond its file": /needs 4398046511104 bytes of storage 0, which has 16/,
  "negative sizes": /whose offset, sizes and strides are none/,
  "negative strides": /whose offset, sizes and strides are none/,
  "a storage outside the zip": /holds no storage \.\.\/\.\.\/\.\.\/etc\/passwd/,
  "a name that moves the cursor": /asks for os\\u\{1b\}\[2J\.system/,
  "a sparse tensor": /asks for torch\._utils\._rebuild_sparse_tensor, which no weights need. It holds a sparse tensor/,
  "a quantised tensor":
    /asks for torch\.(_utils\._rebuild_qtensor|QInt8Storage), which no weights need. It holds a quantised/,
  "a whole module": /asks for torch\.nn\.modules\.linear\.Linear, which/,
  "a complex tensor": /holds numbers of torch\.ComplexFloatStorage/,
  "no dictionary": /holds no dictionary of tensors/,
  "a training state": /holds no tensors by name, they lie under state_dict/,
};

describe("pickles that are no weights are refused, and nothing of them runs", () => {
  test("the causes name pickles that there are", () => {
    expect(Object.keys(causes).filter((name) => !maliciousPickles.has(name))).toEqual([]);
    expect(maliciousPickles.size).toBeGreaterThan(35);
  });

  test.each([...maliciousPickles])("%s", async (name, pickle) => {
    const storages = { "0": new Uint8Array(16) };
    await writeTorchZip(file, { pickle, storages });
    await expectRefused(readAll(openTorch, file), causes[name] ?? /is damaged or no weights of PyTorch: /);
    await expectRefused(readAll(openTorch, file), new RegExp(`^${file}`));
    writeLegacy(file, pickle);
    await expectRefused(readAll(openTorch, file), new RegExp(`^${file}`));
    expect(existsSync("flexbert-was-here")).toBe(false);
  });

  test.each<[string, Buffer]>([
    [
      "lists 500,000 deep",
      Buffer.concat([Buffer.from("8002", "hex"), Buffer.from(`${"]".repeat(500_001)}${"a".repeat(500_000)}.`)]),
    ],
    [
      "three million operations",
      Buffer.concat([Buffer.from("8002", "hex"), Buffer.from(`${"N0".repeat(1_500_000)}N.`)]),
    ],
    ["two million lists", Buffer.concat([Buffer.from("8002", "hex"), Buffer.from("]".repeat(3_000_000))])],
    ["a memo of 2^32 - 1", Buffer.from("80025d72ffffffff2e", "hex")],
  ])("%s: in bounded memory and time", async (_, pickle) => {
    await writeTorchZip(file, { pickle });
    const [start, before] = [Date.now(), process.memoryUsage().rss];
    await expectRefused(readAll(openTorch, file), file);
    expect(process.memoryUsage().rss - before).toBeLessThan(1e9);
    expect(Date.now() - start).toBeLessThan(10_000);
  });
});

describe("files that are no weights of PyTorch's", () => {
  test.each<[string, Buffer, string]>([
    ["empty", Buffer.alloc(0), "is empty"],
    [
      "a pointer of git-lfs",
      Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
      "pointer of git-lfs",
    ],
    ["text", Buffer.from("404, not found"), "is damaged or no weights of PyTorch"],
    ["a web page", Buffer.from("<html>404</html>"), "is a web page, which a server sent"],
    [
      "a tar",
      Buffer.concat([Buffer.alloc(257), Buffer.from("ustar\0"), Buffer.alloc(300)]),
      "a tar file of PyTorch 0.1",
    ],
  ])("%s", async (_, content, message) => {
    writeFileSync(file, content);
    await expectRefused(readAll(openTorch, file), message);
  });

  test("one that is not there", () => expectRefused(readAll(openTorch, file), "does not exist"));

  test("a zip without a pickle, compressed, of a big-endian machine", async () => {
    const pickle = Buffer.from("80027d2e", "hex");
    await writeTorchZip(file, { pickle, compress: true });
    await expectRefused(readAll(openTorch, file), "archive/data.pkl is compressed");
    await writeTorchZip(file, { pickle, others: { byteorder: "big" } });
    await expectRefused(readAll(openTorch, file), "big-endian");
    await writeTorchZip(file, { pickle, others: { "data.pkl": "again" } });
    await expectRefused(readAll(openTorch, file), "it holds archive/data.pkl twice");
  });

  test("a storage whose bytes are others than the zip's CRC says", async () => {
    const whole = readFileSync(fixture("zip.bin"));
    const header = whole.indexOf("zip/data/5") - 30;
    const content = header + 30 + whole.readUInt16LE(header + 26) + whole.readUInt16LE(header + 28);
    whole[content] = (whole[content] as number) ^ 0x10;
    writeFileSync(file, whole);
    await expectRefused(readAll(openTorch, file), /tensor [\w.]+ is damaged: its CRC is wrong/);
  });
});
