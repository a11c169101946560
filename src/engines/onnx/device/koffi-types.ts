// koffi, as far as it is used here; its own types come with a package that may be absent.

export interface IKoffi {
  config(settings: Readonly<Record<string, number>>): unknown;
  load(
    file: string,
    options?: { readonly global?: boolean; readonly lazy?: boolean },
  ): { func(declaration: string): (...values: unknown[]) => unknown };
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
