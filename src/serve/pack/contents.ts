// What goes into a pack: files by the name that each gets there, copied or written, with what they weigh.

import { statSync } from "node:fs";

export interface PackedFile {
  /** With "/" between folders. */
  readonly name: string;
  readonly from: { readonly file: string } | { readonly content: Uint8Array };
  readonly bytes: number;
  readonly part: Part;
}

/** What a user can do something about, by name. */
export type Part = "flexbert" | "packages" | "onnxruntime" | "model";

export const copied = (name: string, file: string, part: Part): PackedFile => ({
  ...{ name, from: { file }, part },
  bytes: statSync(file).size,
});

export function written(name: string, content: string | Uint8Array, part: Part): PackedFile {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return { name, from: { content: bytes }, bytes: bytes.byteLength, part };
}

export const bytesOf = (files: readonly { readonly bytes: number }[]): number =>
  files.reduce((sum, { bytes }) => sum + bytes, 0);

export const bytesByPart = (files: readonly PackedFile[]): Readonly<Record<Part, number>> => {
  const of = (part: Part) => bytesOf(files.filter((file) => file.part === part));
  return { flexbert: of("flexbert"), packages: of("packages"), onnxruntime: of("onnxruntime"), model: of("model") };
};
