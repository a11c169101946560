// A file that is read whole: of what size it may be. Files name other files, and one of those may be a device without an end.

import { open } from "node:fs/promises";

/** The largest tokenizer.json has 20 MB. */
const LARGEST = 128 * 2 ** 20;

/** The bytes of a file. Throws what the system says, and with the code EFBIG where there are more than what is read so. */
export async function readWhole(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of handle.createReadStream({ autoClose: false })) {
      bytes += chunk.length;
      if (bytes > LARGEST) throw Object.assign(new Error(`${file} has more than ${LARGEST} bytes`), { code: "EFBIG" });
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  } finally {
    await handle.close();
  }
}
