// Versions of the folder: their history, reload and rollback, with the admin token that was typed in.

import type { HistoryItem } from "../../../client/api.js";
import type { FlexbertClient } from "../../../client/client.js";
import { byId, html, say } from "./dom.js";

export interface Admin {
  /** Whatever changed the version: the list is read again where it is shown. */
  changed(): void;
}

/** @param clientOf a client with an admin token, which is kept nowhere else */
export function openAdmin(clientOf: (adminToken: string) => FlexbertClient, onChange: () => void): Admin {
  const [form, said, table] = [byId<HTMLFormElement>("admin"), byId("changed"), byId("history")];
  const [token, reload] = [byId<HTMLInputElement>("admin-token"), byId<HTMLButtonElement>("reload")];
  let shown = false;

  /** One at a time, and its failure in words. */
  async function attempt(what: (client: FlexbertClient) => Promise<string | null>): Promise<void> {
    const buttons = [...byId("versions").querySelectorAll("button")].filter((button) => !button.disabled);
    for (const button of buttons) button.disabled = true;
    try {
      const outcome = await what(clientOf(token.value));
      if (outcome !== null) say(said, outcome);
    } catch (error) {
      say(said, (error as Error).message, true);
    } finally {
      for (const button of buttons) button.disabled = false;
      reload.disabled = token.value === "";
    }
  }

  async function list(client: FlexbertClient): Promise<void> {
    const { history } = await client.history();
    shown = true;
    table.replaceChildren(
      html("thead", {}, html("tr", {}, ...heads.map((head) => html("th", { scope: "col" }, head)))),
      html("tbody", {}, ...[...history].reverse().map((item) => lineOf(item, rollBack))),
    );
  }

  const rollBack = (version: string) =>
    attempt(async (client) => {
      const { version: now, changed, from } = await client.rollback({ to: version });
      onChange();
      await list(client);
      return !changed ? `${now} was the current version already` : `${now} answers new requests; before it ${from}`;
    });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt(async (client) => {
      await list(client);
      return "Newest first. Rolling back makes a version the current one; running requests end on theirs.";
    });
  });
  token.addEventListener("input", () => {
    reload.disabled = token.value === "";
  });
  reload.addEventListener("click", () => {
    void attempt(async (client) => {
      const { version, changed, from } = await client.reload();
      onChange();
      if (shown) await list(client);
      return !changed ? `the folder is at ${version}, which is served` : `${version} answers now; before it ${from}`;
    });
  });
  return {
    changed() {
      if (shown) void attempt(async (client) => list(client).then(() => null));
    },
  };
}

const heads = ["version", "when", "what", "tasks", ""];

function lineOf(item: HistoryItem, rollBack: (version: string) => void): HTMLElement {
  const { version, time, command, note, tags, isCurrent, isThere, tasks } = item;
  const marks = [...tags, ...(isCurrent ? ["current"] : [])].map((mark) => html("span", { class: "chip" }, mark));
  const what = note === null ? command : `${command}: ${note}`;
  return html(
    "tr",
    { class: isThere ? null : "gone" },
    html("td", {}, html("code", {}, version), " ", ...marks),
    html("td", {}, html("time", { datetime: time }, new Date(time).toLocaleString())),
    html("td", {}, what),
    html("td", {}, tasks?.join(", ") ?? "–"),
    html("td", {}, isCurrent ? null : isThere ? twice(version, rollBack) : "removed"),
  );
}

/** A button that asks once more. */
function twice(version: string, act: (version: string) => void): HTMLButtonElement {
  const button = html("button", { type: "button" }, "Roll back");
  const calm = () => {
    button.textContent = "Roll back";
    button.classList.remove("sure");
  };
  button.addEventListener("click", () => {
    if (button.classList.contains("sure")) {
      calm();
      act(version);
      return;
    }
    button.classList.add("sure");
    button.textContent = `Yes, to ${version}`;
  });
  button.addEventListener("blur", calm);
  return button;
}
