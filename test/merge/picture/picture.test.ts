// A merged model's figures and its pictures.

import { expect, test } from "@jest/globals";
import type { Manifest, MergedTask } from "../../../src/merge/folder/manifest";
import { htmlPicture } from "../../../src/merge/picture/html";
import { outlineModel } from "../../../src/merge/picture/outline";
import { svgPicture } from "../../../src/merge/picture/svg";
import { textPicture } from "../../../src/merge/picture/text";
import { classification } from "../../../src/tasks/kinds/classification";
import { tinyConfig } from "../../tiny";

const blob = (name: string) => ({ file: `blobs/${name}.safetensors`, sha256: "0".repeat(64) });
const taskOf = (name: string, fork: number | null, layers: number): MergedTask => ({
  ...blob(name),
  name,
  kind: classification,
  inputs: "single",
  labels: ["no", "yes"],
  range: null,
  metric: "accuracy",
  maxLength: 32,
  fork,
  layers,
  score: 0.5,
  metrics: {},
  run: "finetune",
});

const config = tinyConfig(4, 8);
const manifest: Pick<Manifest, "base" | "embeddings" | "trunk" | "tasks"> = {
  base: { name: "tiny<1>", sha256: "1".repeat(64), layers: 4 },
  embeddings: blob("embeddings"),
  trunk: [blob("trunk-0"), blob("trunk-1")],
  tasks: [taskOf("a", 0, 1), taskOf("b", 2, 1), taskOf("c", 2, 2), taskOf("whole", null, 4)],
};
const outline = outlineModel(manifest, config, (file) => (file === "blobs/a.safetensors" ? null : 1000));

test("the figures: layers alone, parameters that are shared counted once, bytes where every file is there", () => {
  expect(outline.tasks.map(({ alone }) => alone.layers)).toEqual([1, 3, 4, 4]);
  expect(outline.overhead).toEqual({ layers: 2 + 1 + 1 + 2 + 4, shared: 2, share: 10 / 16 });
  const [a, b, , whole] = outline.tasks;
  const layer = outline.trunk[0]?.parameters as number;
  const head = 8 * 8 + 8 + 8 * 2 + 2;
  expect(layer).toBe(4 * (8 * 8 + 8) + 2 * 8 * config.intermediateSize + config.intermediateSize + 8 + 4 * 8);
  expect(a?.parameters).toBe(layer + head);
  expect(whole?.parameters).toBe(4 * layer + head + outline.embeddings.parameters);
  expect(b?.alone.parameters).toBe(outline.embeddings.parameters + 3 * layer + head);
  expect(outline.parameters).toBe(2 * outline.embeddings.parameters + 10 * layer + 4 * head);
  expect(outline.separate).toEqual({
    layers: 16,
    parameters: 4 * (outline.embeddings.parameters + 4 * layer + head),
  });
  expect(outline.bytes).toBeNull();
  expect(outlineModel(manifest, config, () => 1000).bytes).toBe(7000);
});

test("in characters", () => {
  expect(textPicture(outline, (task) => (task === "b" ? ", 1.5 ms" : ""))).toBe(
    [
      "[embeddings]───[layer 0]─[head] a",
      "     │",
      "[ layer 0  ]",
      "     │",
      "[ layer 1  ]─┬─[layer 2]─[head] b, 1.5 ms",
      "             └─[layer 2]─[layer 3]─[head] c",
      "               [embeddings]─[layer 0]─[layer 1]─[layer 2]─[layer 3]─[head] whole",
    ].join("\n"),
  );
});

test("the trunk passes by the tasks that leave above it", () => {
  const [a, b] = manifest.tasks as [MergedTask, MergedTask];
  const tasks = [a, { ...a, name: "d" }, b];
  expect(textPicture(outlineModel({ ...manifest, tasks }, config))).toBe(
    [
      "[embeddings]─┬─[layer 0]─[head] a",
      "     │       └─[layer 0]─[head] d",
      "     │",
      "[ layer 0  ]",
      "     │",
      "[ layer 1  ]───[layer 2]─[head] b",
    ].join("\n"),
  );
});

test("without tasks there is nothing but the shared part that is stored", () => {
  const none = outlineModel({ ...manifest, trunk: [], tasks: [] }, config);
  expect(none.overhead).toEqual({ layers: 0, shared: 0, share: 0 });
  expect(textPicture(none)).toBe("");
  expect(svgPicture(none)).toContain("</svg>");
});

test("as SVG and as a page: every box and task, names escaped, nothing from outside", () => {
  const svg = svgPicture(outline);
  expect(svg.match(/<rect /g)).toHaveLength(3 + 2 + 2 + 3 + 6);
  for (const name of ["a", "b", "c", "whole"]) expect(svg).toContain(`>${name} <tspan`);
  expect(svg).toContain("A merged model on tiny&lt;1&gt;: a leaves above layer 0 with 1 of its own");
  const page = htmlPicture(outline, svg, { a: 1, b: 2.25, c: 3, whole: 4 });
  expect(page).toContain(svg);
  expect(page).toContain("<td>2.3</td>");
  expect(page).toContain("Tasks on one tiny&lt;1&gt;");
  expect(page.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|src=|@import/);
});
