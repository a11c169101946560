// Each task's answer in words, with a bar for each of its most probable labels.

import type { PlanEvent, PredictionEvent, Scores, SpanAnswer, TaskAnswer } from "../../../client/api.js";
import { html } from "./dom.js";
import { counted, ms, percent } from "./words.js";

/** Labels with a bar; of more the others are counted. */
const SHOWN = 4;

export interface Answers {
  /** A waiting line for each task. */
  plan(plan: PlanEvent): void;
  answered(event: PredictionEvent): void;
  /** Takes away the lines that still wait. */
  end(): void;
}

export function listAnswers(list: HTMLElement): Answers {
  let lines = new Map<string, HTMLLIElement>();
  return {
    plan({ tasks }) {
      lines = new Map(
        tasks.map(({ name }) => [name, html("li", { class: "waiting" }, headOf(name, "waiting for its layers", ""))]),
      );
      list.replaceChildren(...lines.values());
    },
    answered({ task, prediction, at_ms }) {
      const line = html(
        "li",
        { "data-task": task },
        headOf(task, saidBy(prediction) + leftAt(prediction), ms(at_ms), `version ${prediction.version}`),
        "scores" in prediction ? barsOf(prediction.scores) : null,
        "spans" in prediction ? spansOf(prediction.spans) : null,
      );
      const waiting = lines.get(task);
      lines.set(task, line);
      if (waiting) waiting.replaceWith(line);
      else list.append(line);
    },
    end() {
      for (const waiting of list.querySelectorAll(".waiting")) waiting.remove();
    },
  };
}

const headOf = (task: string, value: string, time: string, title = "") =>
  html(
    "div",
    { class: "answer-head" },
    html("span", { class: "task" }, task),
    html("span", { class: "value" }, value),
    html("span", { class: "time", title }, time),
  );

function saidBy(answer: TaskAnswer): string {
  if ("value" in answer) return answer.value.toFixed(3);
  if ("label" in answer) return `${answer.label} ${percent(answer.score)}`;
  if ("spans" in answer) return answer.spans.length === 1 ? "1 span" : `${answer.spans.length} spans`;
  return answer.labels.join(", ") || "no label holds";
}

const leftAt = ({ exit_layer: layers }: TaskAnswer): string =>
  layers === undefined ? "" : ` after ${counted(layers, "layer")}`;

/** Each span with what it is called, in the order of the text. */
function spansOf(spans: readonly SpanAnswer[]): HTMLElement {
  const rows = spans.flatMap(({ label, text, score }) => [
    html("span", { class: "name", title: label }, label),
    html("span", { class: "part" }, text),
    html("span", { class: "number" }, percent(score)),
  ]);
  return html("div", { class: "scores" }, ...rows);
}

const pairsOf = (scores: Scores): { readonly label: string; readonly score: number }[] =>
  Array.isArray(scores) ? [...scores] : Object.entries(scores).map(([label, score]) => ({ label, score }));

function barsOf(scores: Scores): HTMLElement {
  const sorted = pairsOf(scores).sort((a, b) => b.score - a.score);
  const rows = sorted.slice(0, SHOWN).flatMap(({ label, score }) => {
    const filled = html("span");
    // Set as a property: the policy has no inline style.
    filled.style.width = `${100 * score}%`;
    return [
      html("span", { class: "name", title: label }, label),
      html("span", { class: "bar", "aria-hidden": "true" }, filled),
      html("span", { class: "number" }, percent(score)),
    ];
  });
  const more = sorted.length - SHOWN;
  if (more > 0) rows.push(html("span", { class: "name" }, `and ${more} more`));
  return html("div", { class: "scores" }, ...rows);
}
