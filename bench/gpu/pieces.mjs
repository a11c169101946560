// Archives in pieces of a given size: NAME.000, NAME.001, ... and NAME.json, which says what belongs together and its sha256.
import { createHash } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";

/** Cuts a file; old pieces of the name go first. Returns what NAME.json says. */
export async function cut(file, folder, name, pieceBytes) {
  const own = new RegExp(`^${name.replaceAll(".", "\\.")}\\.(\\d{3}|json)$`);
  for (const old of readdirSync(folder)) if (own.test(old)) rmSync(path.join(folder, old));
  const { size } = statSync(file);
  const pieces = [];
  for (let start = 0; start < size; start += pieceBytes) {
    const piece = `${name}.${String(pieces.length).padStart(3, "0")}`;
    const end = Math.min(size, start + pieceBytes) - 1;
    await pipeline(createReadStream(file, { start, end }), createWriteStream(path.join(folder, piece)));
    pieces.push({ name: piece, bytes: end - start + 1, sha256: await sha256(path.join(folder, piece)) });
  }
  const manifest = { archive: name, bytes: size, sha256: await sha256(file), pieces };
  writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/** Joins what `cut` made, as unpack.py does. Throws, naming every piece that is missing or is not what was cut. */
export async function join(folder, name, file) {
  const { pieces, sha256: whole } = JSON.parse(readFileSync(path.join(folder, `${name}.json`), "utf8"));
  const wrong = [];
  for (const piece of pieces) {
    const found = await sha256(path.join(folder, piece.name)).catch(() => null);
    if (found !== piece.sha256) wrong.push(`${piece.name} is ${found === null ? "missing" : "damaged"}`);
  }
  if (wrong.length > 0) throw new Error(wrong.join(", "));
  writeFileSync(file, "");
  for (const piece of pieces) {
    await pipeline(createReadStream(path.join(folder, piece.name)), createWriteStream(file, { flags: "a" }));
  }
  if ((await sha256(file)) !== whole) throw new Error(`${name} is not what was cut, though its pieces are`);
}

async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}
