// koffi, as far as it is used here; its own types come with a package that may be absent.

export interface LoadOptions {
  /** Its functions are there for libraries that are loaded later. */
  readonly global?: boolean;
  /** Functions that it misses are looked for when they are called. */
  readonly lazy?: boolean;
}

export interface IKoffi {
  config(settings?: Readonly<Record<string, number>>): Readonly<Record<string, number>>;
  load(file: string, options?: LoadOptions): { func(declaration: string): (...values: unknown[]) => unknown };
  proto(declaration: string): unknown;
  call(address: bigint, type: unknown, ...values: unknown[]): unknown;
  readonly decode: {
    (address: bigint, type: unknown): unknown;
    (address: bigint, type: string, count: number): unknown;
    (address: bigint, offset: number, type: string): unknown;
    string(address: bigint): string;
  };
  view(address: bigint, bytes: number): ArrayBuffer;
  address(elements: ArrayBufferView): bigint;
}
