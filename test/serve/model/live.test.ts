import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "@jest/globals";
import { modelError } from "../../../src/errors/errors";
import { type LiveEvents, openLive, type Refusal, type Swap, VersionRefused } from "../../../src/serve/model/live";
import { until } from "../../until";
import { fakeInference, fakeSource, version } from "../fake";

const [A, B, C] = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];

async function open(versions = [version(A), version(B, "a2"), version(C, "a3", ["topic"])]) {
  const inference = fakeInference();
  const source = fakeSource(versions);
  const heard: { swaps: Swap[]; refusals: Refusal[]; renewed: number; failures: unknown[] } = {
    ...{ swaps: [], refusals: [], renewed: 0, failures: [] },
  };
  const events: LiveEvents = {
    swapped: (swap) => void heard.swaps.push(swap),
    refused: (refusal) => void heard.refusals.push(refusal),
    renewed: () => void heard.renewed++,
    failed: (error) => void heard.failures.push(error),
  };
  const live = await openLive(source, inference, events);
  const go = (id: string) => {
    source.current = id;
    return live.reload();
  };
  return { inference, source, live, heard, go };
}

describe("a swap", () => {
  test("is open and warm before it is current, and says what changed", async () => {
    const { live, inference, go } = await open();
    let duringOpen = "";
    inference.onOpen = async () => {
      duringOpen = live.current.id;
    };
    expect(await go(B)).toMatchObject({ from: A, to: B, changed: ["mood"], removed: [] });
    expect([duringOpen, live.current.id, live.swaps]).toEqual([A, B, 1]);
    expect(await go(C)).toMatchObject({ changed: ["mood"], removed: ["topic"] });
    expect(await live.reload()).toBe(null);
  });

  test("leaves what was admitted on its version, which is closed after its last request, and once", async () => {
    const { live, inference, go } = await open();
    const [first, second] = [live.hold(), live.hold()];
    const third = second.again();
    await go(B);
    expect(live.hold().served.id).toBe(B);
    expect([first.served.id, live.open()]).toEqual([
      A,
      [
        { id: B, requests: 1 },
        { id: A, requests: 3 },
      ],
    ]);
    first.release();
    first.release();
    second.release();
    await live.reload();
    expect(inference.log).toEqual([`open ${A}`, `open ${B}`]);
    third.release();
    await until(() => inference.log.length === 3);
    expect([inference.log[2], inference.versions]).toEqual([`close ${A}`, [B]]);
  });

  test("back to a version that requests still hold opens it no second time, and does not close it", async () => {
    const { live, inference, go, source } = await open();
    const hold = live.hold();
    await go(B);
    await go(A);
    hold.release();
    await live.reload();
    expect(live.current.id).toBe(A);
    await until(() => inference.versions.length === 1);
    expect([inference.log, source.reads]).toEqual([[`open ${A}`, `open ${B}`, `close ${B}`], 2]);
  });

  test("is made by the watch, of many changes the newest, one after the other", async () => {
    const { live, source, inference, heard } = await open();
    const opening: { done?: () => void } = {};
    inference.onOpen = () => new Promise((resolve) => Object.assign(opening, { done: resolve }));
    source.current = B;
    source.changed();
    await until(() => opening.done !== undefined);
    source.current = C;
    source.changed();
    source.changed();
    await turn();
    expect(live.current.id).toBe(A);
    inference.onOpen = async () => undefined;
    opening.done?.();
    await until(() => live.current.id === C);
    expect(heard.swaps.map(({ from, to }) => [from, to])).toEqual([
      [A, B],
      [B, C],
    ]);
  });
});

describe("a version that cannot be served", () => {
  test("is refused with its reason, and what was there stays", async () => {
    const { live, inference, go, heard } = await open();
    inference.onOpen = async () => {
      throw modelError("blobs/mood.safetensors has other bytes");
    };
    await expect(go(B)).rejects.toBeInstanceOf(VersionRefused);
    expect([live.current.id, live.swaps, live.refused?.version, heard.refusals.length]).toEqual([A, 0, B, 1]);
    expect(live.refused?.reason).toBe("blobs/mood.safetensors has other bytes");
    expect(live.hold().served.id).toBe(A);
  });

  test("is not tried again by the watch, is tried again when somebody asks, and is forgotten when the folder goes back", async () => {
    const { live, inference, source, go, heard } = await open();
    let tries = 0;
    inference.onOpen = async () => {
      tries++;
      throw modelError("broken");
    };
    await expect(go(B)).rejects.toThrow("broken");
    source.changed();
    source.changed();
    await expect(live.reload()).rejects.toThrow("broken");
    expect(tries).toBe(2);
    source.current = A;
    expect([await live.reload(), live.refused]).toEqual([null, null]);
    inference.onOpen = async () => undefined;
    await go(B);
    expect([live.current.id, heard.refusals.length, heard.failures]).toEqual([B, 2, []]);
  });

  test("a defect is one too, and is told as such", async () => {
    const { live, inference, go, heard } = await open();
    inference.onOpen = async () => {
      throw new TypeError("undefined is not a function");
    };
    await expect(go(B)).rejects.toBeInstanceOf(VersionRefused);
    expect([live.current.id, heard.failures.length]).toEqual([A, 1]);
  });
});

test("a server does not start on a version that cannot be opened", async () => {
  const inference = fakeInference();
  inference.onOpen = async () => {
    throw modelError("broken");
  };
  await expect(openLive(fakeSource([version(A)]), inference)).rejects.toThrow("broken");
});

test("what the inference has open already is not opened again, and goes where it is not what is wanted any more", async () => {
  const inference = fakeInference();
  await inference.open(A);
  await openLive(fakeSource([version(A)]), inference, {}, A);
  expect(inference.log).toEqual([`open ${A}`]);
  await openLive(fakeSource([version(B)]), inference, {}, A);
  expect(inference.log).toEqual([`open ${A}`, `open ${B}`, `close ${A}`]);
});

describe("memory that grows over swaps", () => {
  test("has fresh processes take over when an old version is closed, and not before it is much", async () => {
    const { live, inference, go, heard } = await open();
    inference.rssBytes = 2e8; // 1e8 at the start: within one and a half times and 67 MB
    await go(B);
    await until(() => inference.log.includes(`close ${A}`));
    expect(inference.log).not.toContain("renew");
    inference.rssBytes = 2.2e8;
    await go(A);
    await until(() => heard.renewed === 1);
    expect(inference.log.slice(-2)).toEqual([`close ${B}`, "renew"]);
    // From now on it is what the fresh ones have.
    await go(B);
    await live.reload();
    expect(heard.renewed).toBe(1);
  });

  test("that a renewal fails changes nothing", async () => {
    const { live, inference, go, heard } = await open();
    inference.renew = async () => {
      throw new Error("no memory for another");
    };
    inference.rssBytes = 1e9;
    await go(B);
    await until(() => heard.failures.length === 1);
    expect([live.current.id, live.hold().served.id]).toEqual([B, B]);
  });
});
