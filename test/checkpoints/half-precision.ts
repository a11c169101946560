// Writes a model's safetensors at half precision, as checkpoints often have it.

import { writeFileSync } from "node:fs";
import { roundTo } from "../../src/checkpoints/formats/number-formats";
import type { HostTensors } from "../../src/model/tensors";

export type Half = "F16" | "BF16";

export function writeHalfSafetensors(file: string, tensors: HostTensors, dtype: Half): void {
  const header: Record<string, object> = {};
  const parts: Buffer[] = [];
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const halves = Uint16Array.from(roundTo(dtype, data as Float32Array), (value) => bitsOf(value, dtype));
    const begin = end;
    end += halves.byteLength;
    header[name] = { dtype, shape, data_offsets: [begin, end] };
    parts.push(Buffer.from(halves.buffer));
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(file, Buffer.concat([length, json, ...parts]));
}

/** Of a number that the format holds exactly. */
function bitsOf(value: number, dtype: Half): number {
  const word = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
  if (dtype === "BF16") return word >>> 16;
  const sign = (word >>> 16) & 0x8000;
  const exponent = ((word >>> 23) & 0xff) - 127;
  if (exponent < -14) return sign | (Math.abs(value) * 2 ** 24);
  return sign | ((exponent + 15) << 10) | ((word >>> 13) & 0x3ff);
}
