// The programs of an engine that are loaded and not yet disposed: what tells a leak where an engine keeps no tensors.

export interface OpenPrograms {
  /** The program, counted until it is disposed. */
  counted<P extends { dispose(): void }>(program: P): P;
  count(): number;
}

export function openPrograms(): OpenPrograms {
  const open = new Set<object>();
  return {
    counted(program) {
      open.add(program);
      return {
        ...program,
        dispose() {
          open.delete(program);
          program.dispose();
        },
      };
    },
    count: () => open.size,
  };
}
