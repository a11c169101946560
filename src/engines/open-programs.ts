// The programs of an engine that are loaded and not yet disposed: what tells a leak where an engine keeps no tensors.

import type { Program } from "./engine";

export interface OpenPrograms {
  /** The program, counted until it is disposed. */
  counted<E extends string>(program: Program<E>): Program<E>;
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
