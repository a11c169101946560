// The checkpoint of a SavedModel (format V2, "tensor bundle": tensorflow/core/util/tensor_bundle), written. One shard.

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { HostTensor, HostTensors } from "../../model/tensors";
import { maskedCrc32c } from "./crc32c";
import { tableFile } from "./sstable";

/** Of tensorflow/core/framework/types.proto. */
const dataTypes: Readonly<Record<HostTensor["dtype"], number>> = { float32: 1, int32: 3 };

/** BundleHeaderProto: one shard, little-endian, a checkpoint that readers since TensorFlow 1 take. */
const HEADER = new BinaryWriter()
  .tag(1, WireType.Varint)
  .int32(1)
  .tag(3, WireType.LengthDelimited)
  .fork()
  .tag(1, WireType.Varint)
  .int32(1)
  .join()
  .finish();

export interface TensorBundle {
  /** The file PREFIX.index. */
  readonly index: Uint8Array;
  /** The file PREFIX.data-00000-of-00001: each tensor's own memory, uncopied. */
  readonly data: readonly Uint8Array[];
}

/** Equal tensors give equal bytes. */
export function tensorBundle(tensors: HostTensors): TensorBundle {
  // Readers search keys by their bytes.
  const sorted = Object.entries(tensors).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const pairs: [string, Uint8Array][] = [["", HEADER]];
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const [name, tensor] of sorted) {
    const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
    pairs.push([name, entry(tensor, bytes, offset)]);
    data.push(bytes);
    offset += bytes.length;
  }
  return { index: tableFile(pairs), data };
}

/** BundleEntryProto. */
function entry({ dtype, shape }: HostTensor, bytes: Uint8Array, offset: number): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.Varint).int32(dataTypes[dtype]);
  writer.tag(2, WireType.LengthDelimited).fork();
  for (const size of shape) writer.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int64(size).join();
  writer.join();
  writer.tag(4, WireType.Varint).int64(offset);
  writer.tag(5, WireType.Varint).int64(bytes.length);
  return writer.tag(6, WireType.Bit32).fixed32(maskedCrc32c(bytes)).finish();
}
