// The merged model as SVG: boxes wait when a request is planned, and fill as its answers come.

import type { DoneEvent, ModelAnswer, PlanEvent, PredictionEvent } from "../../../client/api.js";
import { svg } from "./dom.js";
import { type Cell, cell, layoutOf, widthOf } from "./layout.js";
import { ms } from "./words.js";

type State = "idle" | "planned" | "ran";

export interface Picture {
  readonly element: SVGSVGElement;
  /** Nothing ran yet. */
  clear(): void;
  plan(plan: PlanEvent): void;
  /** A task answered: its layers ran, and the shared ones under them. */
  ran(event: PredictionEvent): void;
  done(event: DoneEvent): void;
}

export function drawModel(model: ModelAnswer): Picture {
  const depth = Math.max(0, ...model.tasks.map(({ fork }) => fork ?? 0));
  const { width, height, trunk, branches } = layoutOf(model.tasks, depth);
  const title = svg("title");
  const shared = trunk.map((box) => ({
    depth: box.depth,
    group: svg("g", {}, ...wires(box.wire === null ? [] : [box.wire]), ...boxAt(box)),
  }));
  const own = new Map(
    branches.map(({ task, fork, cells, wires: lines, name }) => {
      const note = svg("tspan", { class: "note" });
      const label = svg("text", { x: name.x, y: name.y, "dominant-baseline": "central" }, `${task} `, note);
      return [task, { fork, note, group: svg("g", {}, ...wires(lines), ...cells.flatMap(boxAt), label) }] as const;
    }),
  );
  const element = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img" },
    title,
    // Wires of what ran are drawn over those of what did not.
    ...[...own.values()].reverse().map(({ group }) => group),
    ...shared.map(({ group }) => group),
  );
  element.style.setProperty("--natural", `${width}px`); // on a phone it scrolls, and does not shrink
  const setTrunk = (state: State, most: number) => {
    for (const box of shared) if (box.depth <= most) box.group.setAttribute("class", `trunk ${state}`);
  };
  const clear = () => {
    setTrunk("idle", Number.POSITIVE_INFINITY);
    for (const { group, note } of own.values()) {
      group.setAttribute("class", "own idle");
      note.textContent = "";
    }
    title.textContent = describe(model);
  };
  clear();
  return {
    element,
    clear,
    plan({ tasks, depth: planned }) {
      clear();
      if (tasks.some(({ fork }) => fork !== null)) setTrunk("planned", planned);
      for (const { name } of tasks) own.get(name)?.group.setAttribute("class", "own planned");
    },
    ran({ task, at_ms }) {
      const branch = own.get(task);
      if (!branch) return;
      if (branch.fork !== null) setTrunk("ran", branch.fork);
      branch.group.setAttribute("class", "own ran");
      branch.note.textContent = ms(at_ms);
    },
    done({ layers_run, pieces }) {
      const parts = pieces.map(({ piece, ms: took }) => `${piece} ${ms(took)}`);
      title.textContent = `${describe(model)} Ran now: ${layers_run} layers: ${parts.join(", ")}.`;
    },
  };
}

/** What who hears the page is told in place of the picture. */
function describe({ base, tasks }: ModelAnswer): string {
  const leaves = tasks.map(({ name, fork, layers }) =>
    fork === null
      ? `${name} has embeddings and ${layers} layers of its own`
      : `${name} leaves above shared layer ${fork} with ${layers} of its own`,
  );
  return `A merged model on ${base.name}: ${leaves.join("; ")}.`;
}

const wires = (paths: readonly string[]) => paths.map((d) => svg("path", { class: "wire", d }));

function boxAt({ x, y, label }: Cell): SVGElement[] {
  const width = widthOf(label);
  const middle = { x: x + width / 2, y: y + cell.height / 2 };
  return [
    svg("rect", { class: "cell", x, y, width, height: cell.height, rx: 5 }),
    svg("text", { ...middle, "text-anchor": "middle", "dominant-baseline": "central" }, label),
  ];
}
