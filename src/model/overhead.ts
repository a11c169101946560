// What inference over all tasks costs, in encoder layers (paper, section 3): of a merged model, or of a choice that is not
// merged. The shared ones run once, as deep as the deepest fork; each task's own come above them.

/** A branch's; a full one shares no layer. */
interface Branch {
  readonly fork: number | null;
  readonly layers: number;
}

export interface LayerCount {
  readonly shared: number;
  /** The tasks' own layers. */
  readonly branch: number;
}

export function countLayers(tasks: readonly Branch[]): LayerCount {
  return {
    shared: Math.max(0, ...tasks.map(({ fork }) => fork ?? 0)),
    branch: tasks.reduce((sum, { layers }) => sum + layers, 0),
  };
}

/** Of tasks that are merged on a base, or could be. */
export interface Costed {
  readonly base: { readonly layers: number };
  readonly tasks: readonly Branch[];
}

/** Layers that run, those shared among them, and their share of one whole base a task. */
export function overhead({ base, tasks }: Costed): { layers: number; shared: number; share: number } {
  const { shared, branch } = countLayers(tasks);
  const layers = shared + branch;
  return { layers, shared, share: tasks.length === 0 ? 0 : layers / (base.layers * tasks.length) };
}
