// Vulkan's adapters as its loader lists them, without opening a device. The structs are written and read at the offsets that
// they have on 64-bit machines (vulkan_core.h of the Vulkan headers), which are part of the interface and do not change.

import type { Adapter, AdapterType } from "./adapters";
import { loadForGood, loadKoffi } from "./koffi";
import type { IKoffi } from "./koffi-types";

/** The loader's library: Debian's libvulkan1, Fedora's vulkan-loader. */
export const VULKAN_LIBRARY = "libvulkan.so.1";

/** Its message begins with this where the loader is missing: the next step is another than for a missing device. */
export const NO_LOADER = "no Vulkan loader";

const SUCCESS = 0;
const INCOMPATIBLE_DRIVER = -9;
/** Of VkStructureType. */
const [APPLICATION_INFO, INSTANCE_CREATE_INFO] = [0, 1] as const;
const [PROPERTIES_2, DRIVER_PROPERTIES] = [1_000_059_001, 1_000_196_000] as const;
/** Of the application: what tells drivers apart came with it. */
const VERSION_1_2 = (1 << 22) | (2 << 12);
const DEVICE_LOCAL = 1;

/** VkPhysicalDeviceType. */
const types: readonly AdapterType[] = ["other", "integrated", "discrete", "virtual", "cpu"];

/** PCI's numbers, and Khronos's of makers without one. */
const vendors: Readonly<Record<number, string>> = {
  4098: "AMD",
  4112: "Imagination",
  4203: "Apple",
  4318: "NVIDIA",
  5045: "Arm",
  5140: "Microsoft",
  6880: "Google",
  20803: "Qualcomm",
  32902: "Intel",
  65541: "Mesa",
};

interface Vulkan {
  createInstance(info: ArrayBufferView, allocator: null, instance: BigUint64Array): number;
  destroyInstance(instance: bigint, allocator: null): void;
  enumerate(instance: bigint, count: Uint32Array, devices: BigUint64Array | null): number;
  properties(device: bigint, properties: ArrayBufferView): void;
  memory(device: bigint, properties: ArrayBufferView): void;
}

/** Throws Error: {@link NO_LOADER}, or what Vulkan answered. None is no error. */
export function listVulkanAdapters(): Adapter[] {
  const koffi = loadKoffi();
  const vulkan = loadVulkan(koffi);
  // VkInstanceCreateInfo, and the VkApplicationInfo that it points to.
  const info = struct(64 + 48, [0, INSTANCE_CREATE_INFO], [64, APPLICATION_INFO], [64 + 44, VERSION_1_2]);
  info.setBigUint64(24, koffi.address(info) + 64n, true);
  const made = new BigUint64Array(1);
  const status = vulkan.createInstance(info, null, made);
  if (status === INCOMPATIBLE_DRIVER) return [];
  if (status !== SUCCESS) throw new Error(`Vulkan makes no instance: it answers ${status}`);
  const instance = made[0] as bigint;
  try {
    const count = new Uint32Array(1);
    vulkan.enumerate(instance, count, null);
    const devices = new BigUint64Array(count[0] as number);
    vulkan.enumerate(instance, count, devices);
    return [...devices.subarray(0, count[0])].map((device) => describe(koffi, vulkan, device));
  } finally {
    vulkan.destroyInstance(instance, null);
  }
}

function loadVulkan(koffi: IKoffi): Vulkan {
  const library = (() => {
    try {
      return loadForGood(koffi, VULKAN_LIBRARY);
    } catch (error) {
      throw new Error(`${NO_LOADER}: ${(error as Error).message}`, { cause: error });
    }
  })();
  const load = (declaration: string) => library.func(declaration) as never;
  return {
    createInstance: load("int vkCreateInstance(void *info, void *allocator, void *instance)"),
    destroyInstance: load("void vkDestroyInstance(void *instance, void *allocator)"),
    enumerate: load("int vkEnumeratePhysicalDevices(void *instance, void *count, void *devices)"),
    properties: load("void vkGetPhysicalDeviceProperties2(void *device, void *properties)"),
    memory: load("void vkGetPhysicalDeviceMemoryProperties(void *device, void *properties)"),
  };
}

/** VkPhysicalDeviceProperties2 with VkPhysicalDeviceDriverProperties behind it, which older drivers leave empty. */
function describe(koffi: IKoffi, vulkan: Vulkan, device: bigint): Adapter {
  const ofDriver = struct(536, [0, DRIVER_PROPERTIES]);
  const properties = struct(840, [0, PROPERTIES_2]);
  properties.setBigUint64(8, koffi.address(ofDriver), true);
  vulkan.properties(device, properties);
  const [BASE, LIMITS] = [16, 16 + 296];
  const read = (at: number) => properties.getUint32(at, true);
  const vendorId = read(BASE + 8);
  const driver = `${text(ofDriver, 20)} ${text(ofDriver, 276)}`.trim();
  return {
    name: text(properties, BASE + 20),
    type: types[read(BASE + 16)] ?? "other",
    vendor: vendors[vendorId] ?? `0x${vendorId.toString(16)}`,
    api: `Vulkan ${versionOf(read(BASE))}`,
    driver: driver || null,
    memoryBytes: localMemory(vulkan, device),
    limits: {
      maxStorageBufferRange: read(LIMITS + 28),
      maxPerStageDescriptorStorageBuffers: read(LIMITS + 76),
      maxComputeWorkGroupInvocations: read(LIMITS + 232),
      maxComputeWorkGroupSize: [read(LIMITS + 236), read(LIMITS + 240), read(LIMITS + 244)],
    },
  };
}

/** Bytes of the heaps that are the device's own. */
function localMemory(vulkan: Vulkan, device: bigint): number {
  const memory = struct(520);
  vulkan.memory(device, memory);
  const heaps = Array.from({ length: memory.getUint32(260, true) }, (_, at) => 264 + 16 * at);
  const local = heaps.filter((at) => memory.getUint32(at + 8, true) & DEVICE_LOCAL);
  return local.reduce((sum, at) => sum + Number(memory.getBigUint64(at, true)), 0);
}

function struct(bytes: number, ...numbers: readonly (readonly [offset: number, value: number])[]): DataView {
  const view = new DataView(new ArrayBuffer(bytes));
  for (const [offset, value] of numbers) view.setUint32(offset, value, true);
  return view;
}

function text(view: DataView, at: number): string {
  const bytes = new Uint8Array(view.buffer, at, 256);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end));
}

const versionOf = (packed: number): string => `${(packed >>> 22) & 0x7f}.${(packed >>> 12) & 0x3ff}.${packed & 0xfff}`;
