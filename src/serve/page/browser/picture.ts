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
  /** A task answered: its layers ran, and the shared ones under them, as far as the text went. */
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
      const boxes = cells.map((one) => ({ passed: one.passed, group: svg("g", {}, ...boxAt(one)) }));
      const group = svg("g", {}, ...wires(lines), ...boxes.map((box) => box.group), label);
      return [task, { fork, note, boxes, group }] as const;
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
    for (const { group, note, boxes } of own.values()) {
      group.setAttribute("class", "own idle");
      for (const box of boxes) box.group.removeAttribute("class");
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
    ran({ task, at_ms, prediction }) {
      const branch = own.get(task);
      if (!branch) return;
      const { fork, boxes, group, note } = branch;
      const passed = prediction.exit_layer ?? Number.POSITIVE_INFINITY;
      if (fork !== null) setTrunk("ran", Math.min(fork, passed));
      // A text that left in the trunk runs nothing of the task's own.
      const reached = boxes.filter((box) => box.passed <= passed);
      for (const box of boxes) if (!reached.includes(box)) box.group.setAttribute("class", "left");
      group.setAttribute("class", reached.length > 0 ? "own ran" : "own left");
      note.textContent = ms(at_ms);
    },
    done({ layers_run, pieces }) {
      for (const { group } of shared) if (isPlanned(group)) group.setAttribute("class", "trunk idle");
      const parts = pieces.map(({ piece, ms: took }) => `${piece} ${ms(took)}`);
      title.textContent = `${describe(model)} Ran now: ${layers_run} layers: ${parts.join(", ")}.`;
    },
  };
}

const isPlanned = (group: SVGGElement) => group.getAttribute("class") === "trunk planned";

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
