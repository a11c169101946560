// The page: what is typed goes to the server as one streamed request, and each event of the answer is shown as it comes.

import type { DoneEvent, ModelAnswer, PlanEvent, StatsAnswer } from "../../../client/api.js";
import { FlexbertClient } from "../../../client/client.js";
import { FlexbertError } from "../../../client/errors.js";
import { openAdmin } from "./admin.js";
import { listAnswers } from "./answers.js";
import { byId, html, say } from "./dom.js";
import { showLive } from "./live.js";
import { drawModel, type Picture } from "./picture.js";
import { counted, ms } from "./words.js";

const [form, text, pair] = [
  byId<HTMLFormElement>("form"),
  byId<HTMLTextAreaElement>("text"),
  byId<HTMLTextAreaElement>("pair"),
];
const [token, outcome, run] = [byId<HTMLInputElement>("token"), byId("outcome"), byId<HTMLButtonElement>("run")];
const answers = listAnswers(byId("answers"));
const live = showLive(byId("figures"), byId("curves"));

/** Below the page's own folder, which a proxy may have given another path. */
const url = new URL(".", document.baseURI).href;
const clientOf = (adminToken?: string) =>
  new FlexbertClient({
    url,
    retries: 1,
    ...(token.value === "" ? {} : { token: token.value }),
    ...(adminToken === undefined ? {} : { adminToken }),
  });

let model: ModelAnswer | null = null;
let picture: Picture | null = null;
/** The tasks that the user ticked; none means all that fit. */
const ticked = new Set<string>();
let running: AbortController | null = null;
/** Versions that were open when it was last looked. */
let seenOpen = "";

const admin = openAdmin(clientOf, () => void readModel());

async function readModel(): Promise<void> {
  try {
    const read = await clientOf().model();
    if (read.version === model?.version) return;
    const isOther = model !== null;
    model = read;
    picture = drawModel(read);
    byId("picture").replaceChildren(picture.element);
    byId("pieces-box").hidden = true;
    showModel(read);
    showTasks();
    if (isOther) admin.changed();
  } catch (error) {
    askToken(error);
    say(byId("reach"), (error as Error).message);
    byId("reach").className = "bad";
  }
}

function showModel({ base, version, tags, precision, tasks }: ModelAnswer): void {
  const chips = [base.name, `version ${version}`, ...tags, precision, counted(tasks.length, "task")];
  byId("model").replaceChildren(...chips.map((chip) => html("span", { class: "chip" }, chip)));
}

/** A box for each task; those that do not take what is typed cannot be ticked. */
function showTasks(): void {
  const inputs = pair.value.trim() === "" ? "single" : "pair";
  const boxes = (model?.tasks ?? []).map((task) => {
    const fits = task.inputs === inputs;
    const box = html("input", { type: "checkbox", value: task.name, disabled: !fits });
    box.checked = fits && ticked.has(task.name);
    box.addEventListener("change", () => {
      if (box.checked) ticked.add(task.name);
      else ticked.delete(task.name);
      tellWhich();
    });
    const takes = task.inputs === "pair" ? "takes pairs" : "takes single texts";
    return html("label", { class: fits ? "chip" : "chip off", title: takes }, box, task.name);
  });
  byId("tasks").replaceChildren(...boxes);
  tellWhich();
}

function tellWhich(): void {
  const chosen = chosenTasks();
  const other = pair.value.trim() === "" ? "single texts" : "pairs";
  byId("which").textContent = chosen ? counted(chosen.length, "ticked task") : `all that take ${other}`;
}

/** undefined where all that fit are meant. */
function chosenTasks(): string[] | undefined {
  const inputs = pair.value.trim() === "" ? "single" : "pair";
  const names = (model?.tasks ?? []).filter((task) => task.inputs === inputs && ticked.has(task.name));
  return names.length > 0 ? names.map(({ name }) => name) : undefined;
}

async function predict(): Promise<void> {
  running?.abort(new Error("another text was asked"));
  const own = new AbortController();
  running = own;
  run.setAttribute("aria-busy", "true");
  say(outcome, "Asked.");
  const second = pair.value.trim();
  const row = second === "" ? { text: text.value } : { text: text.value, pair: second };
  const chosen = chosenTasks();
  let [plan, answered]: [PlanEvent | null, number] = [null, 0];
  try {
    for await (const { event, data } of clientOf().stream(row, {
      signal: own.signal,
      ...(chosen ? { tasks: chosen } : {}),
    })) {
      if (event === "plan") {
        plan = data;
        picture?.plan(data);
        answers.plan(data);
        say(outcome, `${counted(data.tasks.length, "task")} asked.`);
      } else if (event === "prediction") {
        answered++;
        picture?.ran(data);
        answers.answered(data);
      } else {
        picture?.done(data);
        showPieces(data);
        say(outcome, summaryOf(plan, data, answered));
        if (data.model.version !== model?.version) void readModel();
      }
    }
  } catch (error) {
    if (own.signal.aborted) return;
    answers.end();
    askToken(error);
    const id = error instanceof FlexbertError && error.requestId ? ` (request ${error.requestId})` : "";
    say(outcome, `${(error as Error).message}${id}`, true);
  } finally {
    if (running === own) run.removeAttribute("aria-busy");
  }
}

function summaryOf(
  plan: PlanEvent | null,
  { layers_run, ms: took, model: { version } }: DoneEvent,
  answered: number,
): string {
  const apart = (plan?.tasks ?? []).reduce((sum, { fork, layers }) => sum + (fork ?? 0) + layers, 0);
  const layers = apart > layers_run ? `${layers_run} layers in place of ${apart} apart` : counted(layers_run, "layer");
  return `${counted(answered, "answer")} in ${ms(took)}: ${layers}, version ${version}.`;
}

function showPieces({ pieces }: DoneEvent): void {
  const heads = ["part", "layers", "rows", "tokens", "time"];
  const line = (cells: readonly (string | number)[], tag: "td" | "th") =>
    html("tr", {}, ...cells.map((cell, i) => html(tag, { class: i > 0 ? "number" : null }, String(cell))));
  byId("pieces").replaceChildren(
    html("thead", {}, line(heads, "th")),
    html("tbody", {}, ...pieces.map((p) => line([p.piece, p.layers, p.rows, p.tokens, ms(p.ms)], "td"))),
  );
  byId("pieces-box").hidden = pieces.length === 0;
}

/** Opens the field for a token where the server wants one. */
function askToken(error: unknown): void {
  if (error instanceof FlexbertError && error.status === 401 && byId("access").hidden) {
    byId("access").hidden = false;
    token.focus();
  }
}

/** Each second while the page is seen. */
async function watch(): Promise<never> {
  for (;;) {
    if (document.visibilityState === "visible") await look();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function look(): Promise<void> {
  const reach = byId("reach");
  try {
    const stats = await clientOf().stats({ timeoutMs: 5000 });
    live.show(stats);
    tell(reach, ...stateOf(stats));
    const open = stats.versions.map(({ version }) => version).join();
    if (model === null || open !== seenOpen) await readModel();
    seenOpen = open;
  } catch (error) {
    askToken(error);
    const known = error instanceof FlexbertError && error.status === 401;
    const said = known ? "it wants a token" : "no connection";
    tell(reach, said, "bad");
  }
}

/** Said once: who hears the page is not told each second that all is well. */
function tell(place: HTMLElement, said: string, state: "good" | "bad"): void {
  if (place.textContent !== said) say(place, said);
  place.className = state;
}

function stateOf({ draining, refused }: StatsAnswer): [string, "good" | "bad"] {
  if (draining) return ["the server is about to end", "bad"];
  if (!refused) return ["connected", "good"];
  const version = refused.version === null ? "the folder" : `version ${refused.version}`;
  return [`${version} is refused, the current one stays: ${refused.reason}`, "bad"];
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void predict();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
pair.addEventListener("input", showTasks);
token.addEventListener("change", () => void readModel());
void readModel().then(watch);
