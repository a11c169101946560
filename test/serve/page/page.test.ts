// The page before a server of the test's own, in chromium: what is typed is asked, each answer and each layer is shown when
// it comes, texts are no markup, and tokens stay in the page. served.process.test.ts has it before the real server.

import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Page } from "playwright-core";
import { pageFiles, pageHeaders } from "../../../src/serve/page/page";
import { browserAbsence, withPageAt } from "../../browser";
import { unless } from "../../skips";
import { become, type Fake, fakeModel, startFake } from "./fake-server";

describe("its files", () => {
  test("are what the markup and the modules name, and nothing else is named", () => {
    const files = new Map(pageFiles().map((file) => [file.path, String(file.body)]));
    const markup = files.get("/") as string;
    const named = [...markup.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, name]) => `/${name}`);
    expect(named).toHaveLength(3);
    expect(named.filter((name) => !files.has(name))).toEqual([]);
    const imported = [...files].flatMap(([file, text]) =>
      [...text.matchAll(/^(?:import|export) .*?from "([^"]+)"/gm)].map(
        ([, name = ""]) => new URL(name, `http://page${file}`).pathname,
      ),
    );
    expect(imported.length).toBeGreaterThan(10);
    expect(imported.filter((name) => !files.has(name))).toEqual([]);
    const outside = [...files].filter(([, text]) =>
      /https?:\/\/(?!www\.w3\.org\/2000\/svg)/.test(text.replace(/\/\/.*$/gm, "")),
    );
    expect(outside.map(([name]) => name)).toEqual([]);
  });

  test("have no markup out of texts, and no style or script within", () => {
    for (const { path, body } of pageFiles()) {
      expect([
        path,
        /innerHTML|outerHTML|insertAdjacent|document\.write|localStorage|sessionStorage|cookie/.exec(String(body)),
      ]).toEqual([path, null]);
    }
    expect(String(pageFiles()[0]?.body)).not.toMatch(/<style|<script(?![^>]*src=)| style=| on\w+=/);
    expect(pageHeaders["content-security-policy"]).not.toMatch(/unsafe|\*|data:/);
  });
});

unless(browserAbsence).describe("the page in chromium", () => {
  let fake: Fake;
  beforeEach(async () => {
    fake = await startFake();
  });
  afterEach(() => fake.close());

  /** Whatever the policy forbids is an error of the console. */
  async function look(see: (page: Page) => Promise<void>, options: Parameters<typeof withPageAt>[2] = {}) {
    const refused: string[] = [];
    await withPageAt(
      fake.url,
      async (page) => {
        page.on("console", (message) => {
          if (/Content.Security.Policy|Trusted/i.test(message.text())) refused.push(message.text());
        });
        await page.waitForSelector("#tasks label");
        await see(page);
      },
      options,
    );
    expect(refused).toEqual([]);
  }

  const classOf = (page: Page, task: string) =>
    page.locator("#picture g", { hasText: task }).last().getAttribute("class");
  const drawn = async (page: Page, state: string) =>
    (await page.locator(`#picture g.trunk.${state}`).allTextContents()).join();
  const finished = (page: Page) => page.locator("#outcome", { hasText: " answer" }).waitFor();

  test("shows each answer, and the layers that it took, before the next task's", async () => {
    const waiting = new Map<string, () => void>();
    fake.gate = (task) => new Promise((resolve) => void waiting.set(task, resolve));
    const release = async (page: Page, task: string) => {
      while (!waiting.has(task)) await page.waitForTimeout(5);
      waiting.get(task)?.();
    };
    await look(async (page) => {
      await page.fill("#text", "A man plays.");
      await page.fill("#pair", "Someone plays.");
      await page.press("#pair", "Control+Enter");
      await page.locator("#answers li.waiting").nth(3).waitFor();
      expect(await drawn(page, "planned")).toBe("embeddings,layer 0,layer 1,layer 2,layer 3");
      expect(await classOf(page, "sst2")).toBe("own idle");

      await release(page, "mrpc");
      await page.locator('#answers li[data-task="mrpc"]').waitFor();
      expect(await drawn(page, "ran")).toBe("embeddings,layer 0,layer 1");
      expect([await classOf(page, "mrpc"), await classOf(page, "rte")]).toEqual(["own ran", "own planned"]);
      expect(await page.textContent('#answers li[data-task="mrpc"]')).toMatch(/mrpcequivalent 90\.0 %1\.5 ms/);

      for (const task of ["stsb", "rte", "mnli"]) await release(page, task);
      await finished(page);
      expect(await page.textContent('#answers li[data-task="stsb"] .value')).toBe("3.217");
      expect(await drawn(page, "ran")).toBe("embeddings,layer 0,layer 1,layer 2,layer 3");
      expect(await page.textContent("#outcome")).toBe(
        "4 answers in 6.4 ms: 10 layers in place of 18 apart, version 4e3d5a46.",
      );
      expect(await page.locator("#pieces tbody tr").count()).toBe(4);
      expect(fake.asked[0]).toEqual({
        path: "/v1/predict",
        body: { text: "A man plays.", pair: "Someone plays.", stream: true },
        token: null,
      });
    });
  });

  test("draws nothing as run above where a text left, and says where", async () => {
    fake.exitLayers = { rte: 2, mrpc: 3 }; // above forks 4 and 2
    const own = (page: Page, task: string) =>
      page.locator("#picture g.own", { hasText: task }).locator("g:not(.left)").allTextContents();
    await look(async (page) => {
      await page.fill("#text", "A man plays.");
      await page.fill("#pair", "Someone plays.");
      for (const task of ["rte", "mrpc"]) await page.check(`#tasks input[value="${task}"]`);
      await page.click("#run");
      await finished(page);
      expect(await drawn(page, "ran")).toBe("embeddings,layer 0,layer 1");
      expect(await page.locator("#picture .planned").count()).toBe(0);
      expect([await classOf(page, "rte"), await own(page, "rte")]).toEqual(["own left", []]);
      expect([await classOf(page, "mrpc"), await own(page, "mrpc")]).toEqual(["own ran", ["2"]]);
      expect(await page.textContent('#answers li[data-task="mrpc"] .value')).toBe("equivalent 90.0 % after 3 layers");
      fake.exitLayers = { mrpc: 4 }; // all the way
      await page.click("#run");
      await page.locator('#answers li[data-task="rte"] .value', { hasNotText: "after" }).waitFor();
      await finished(page);
      expect(await own(page, "mrpc")).toEqual(["2", "3", "head"]);
    });
  });

  test("shows the spans of a task that labels words, as text", async () => {
    const [first] = fakeModel.tasks as [(typeof fakeModel.tasks)[0]];
    fake.model = { ...fakeModel, tasks: [{ ...first, name: "slots", kind: "tagging", labels: ["city", "day"] }] };
    await look(async (page) => {
      await page.fill("#text", "flights from denver on monday");
      await page.click("#run");
      await finished(page);
      expect(await page.textContent("#answers .value")).toBe("2 spans");
      expect(await page.locator("#answers .scores span").allTextContents()).toEqual([
        ...["city", "<i>0</i>", "75.0 %"],
        ...["day", "<i>1</i>", "75.0 %"],
      ]);
    });
  });

  test("asks for ticked tasks alone, and offers those that take what is typed", async () => {
    await look(async (page) => {
      expect(await page.locator("#tasks input:disabled").count()).toBe(4);
      expect(await page.textContent("#which")).toBe("all that take single texts");
      await page.fill("#pair", "Someone plays.");
      expect(await page.locator("#tasks input:disabled").count()).toBe(1);
      await page.check('#tasks input[value="stsb"]');
      expect(await page.textContent("#which")).toBe("1 ticked task");
      await page.click("#run");
      await finished(page);
      expect(fake.asked[0]?.body).toMatchObject({ tasks: ["stsb"] });
      expect(await drawn(page, "ran")).toBe("embeddings,layer 0,layer 1");
      expect(await classOf(page, "mrpc")).toBe("own idle");
    });
  });

  test("what a user or a server says is text, whatever it looks like", async () => {
    const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    fake.model = {
      ...fakeModel,
      base: { ...fakeModel.base, name: evil },
      tasks: [{ ...(fakeModel.tasks[0] as (typeof fakeModel.tasks)[0]), name: evil, labels: ["fine", evil] }],
    };
    await look(async (page) => {
      await page.fill("#text", evil);
      await page.click("#run");
      await finished(page);
      expect(await page.textContent("#answers .value")).toBe(`${evil} 90.0 %`);
      expect(await page.textContent("#picture svg")).toContain(evil);
      fake.refusal = { status: 422, code: "invalid", message: evil };
      await page.click("#run");
      await page.locator("#outcome.bad-news").waitFor();
      expect(await page.textContent("#outcome")).toBe(`${evil} (request req-1)`);
      expect(await page.title()).toBe("flexbert serve");
      expect(await page.locator("body img, body script").count()).toBe(0);
    });
  });

  test("asks for a token where the server wants one, and keeps it in memory alone", async () => {
    fake.token = "user";
    await withPageAt(fake.url, async (page) => {
      await page.locator("#token").waitFor();
      await page.fill("#token", "user");
      await page.press("#token", "Tab");
      await page.waitForSelector("#tasks label");
      await page.click("#run");
      await finished(page);
      expect(fake.asked.at(-1)).toMatchObject({ path: "/v1/predict", token: "user" });
      const kept = await page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie, location.href]", // as text: no DOM in these tests' types
      );
      expect(kept).toEqual([0, 0, "", fake.url]);
    });
  });

  test("history, rollback after a second press, and reload, by keyboard, with the admin token", async () => {
    await look(async (page) => {
      await page.fill("#admin-token", "wrong");
      await page.press("#admin-token", "Enter");
      await page.locator("#changed.bad-news").waitFor();
      await page.fill("#admin-token", "root");
      await page.press("#admin-token", "Enter");
      await page.locator("#history tbody tr").nth(2).waitFor();
      expect(await page.locator("#history tbody tr").first().textContent()).toMatch(/^4e3d5a46 stablecurrent/);
      expect(await page.textContent("#history")).toContain("update rte: <b>more</b> epochs");
      expect(await page.locator("#history button").count()).toBe(1); // neither for the current one nor for one that gc removed

      const back = page.locator("#history button");
      await back.press("Enter");
      expect(await back.textContent()).toBe("Yes, to 22222222");
      expect(fake.asked.filter(({ path }) => path === "/admin/rollback")).toEqual([]);
      await back.press("Enter");
      await page.locator("#changed", { hasText: "22222222 answers new requests; before it 4e3d5a46" }).waitFor();
      expect(fake.asked.find(({ path }) => path === "/admin/rollback")).toMatchObject({
        body: { to: "22222222" },
        token: "root",
      });
      await page.locator("#model", { hasText: "version 22222222" }).waitFor();
      await page.press("#reload", "Enter");
      await page.locator("#changed", { hasText: "the folder is at 22222222" }).waitFor();
    });
  });

  test("figures come each second, and a version that changed elsewhere is shown", async () => {
    await look(async (page) => {
      await page.locator("#figures", { hasText: "texts a second123" }).waitFor();
      expect(await page.textContent("#figures")).toContain("P9912.5 ms");
      become(fake, "22222222");
      await page.locator("#model", { hasText: "version 22222222" }).waitFor();
      expect(await page.textContent("#reach")).toBe("connected");
      const refused = { version: "33333333", reason: "a blob is missing", time: "2026-11-26T10:00:00.000Z" };
      fake.stats = { ...fake.stats, refused };
      await page
        .locator("#reach.bad", { hasText: "33333333 is refused, the current one stays: a blob is miss" })
        .waitFor();
      fake.close();
      await page.locator("#reach.bad", { hasText: "no connection" }).waitFor();
    });
  });

  test.each([
    ["a phone", { viewport: { width: 360, height: 740 }, isMobile: true }],
    ["a wide window in the dark", { viewport: { width: 1600, height: 900 }, colorScheme: "dark" as const }],
    ["a reader without motion", { reducedMotion: "reduce" as const }],
  ])("on %s nothing runs out of the window, and everything is named and reached", async (_, options) => {
    await look(async (page) => {
      await page.click("#run");
      await finished(page);
      const [width, scrolled, moving, dark] = await page.evaluate<[number, number, number, string]>(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth, document.getAnimations().length, " +
          "getComputedStyle(document.body).backgroundColor]",
      );
      expect(scrolled).toBeLessThanOrEqual(width);
      if ("reducedMotion" in options) expect(moving).toBe(0);
      if ("colorScheme" in options) expect(dark).toBe("rgb(18, 23, 29)");
      for (const name of [/^Text$/, /^Second text/, /^Admin token$/])
        expect(await page.getByLabel(name).count()).toBe(1);
      for (const name of ["Predict", "Show history", "Reload the folder"]) {
        expect(await page.getByRole("button", { name }).count()).toBe(1);
      }
      expect(
        await page.getByRole("img", { name: /A merged model on .*sst2 leaves above shared layer 1/ }).count(),
      ).toBe(1);
      const reached = new Set<string>();
      await page.focus("#text");
      for (let i = 0; i < 12; i++) {
        reached.add(await page.evaluate<string>("document.activeElement.id"));
        await page.keyboard.press("Tab");
      }
      expect([...reached]).toEqual(expect.arrayContaining(["text", "pair", "run", "picture", "admin-token"]));
    }, options);
  });
});
