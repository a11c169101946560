import { describe, expect, test } from "@jest/globals";
import { createQueue, QueueFull, type QueueLimits, type Ticket } from "../../../src/serve/schedule/queue";
import { createRate } from "../../../src/serve/schedule/rate";

const limits: QueueLimits = { maxRows: 10, maxDelayMs: null, batchTokens: 100 };

function queueAt(given: Partial<QueueLimits> = {}, slots = 1) {
  const clock = { now: 0 };
  const rate = createRate(slots, () => clock.now);
  const queue = createQueue({ ...limits, ...given }, rate, () => clock.now);
  const admit = (
    rows = 1,
    { version = "v", deadline, work = rows * 10 }: { version?: string; deadline?: number; work?: number } = {},
  ) => queue.admit({ version, rows, work, deadline });
  const put = (ticket: Ticket, lengths: readonly number[]) =>
    queue.put(
      ticket,
      lengths.map((length, index) => ({
        ...{ index, work: length * 2, tasks: ["mood"], ids: new Int32Array(length), typeIds: new Int32Array(length) },
      })),
    );
  const taken = (tokens = 100) => queue.take(tokens).map(({ ticket, index }) => [ticket, index]);
  /** Tells the speed: so much work a ms. */
  const learn = (speed: number) => {
    const end = rate.begin(speed * 100, speed * 50);
    clock.now += 100;
    end();
  };
  return { clock, queue, rate, admit, put, taken, learn };
}

describe("order", () => {
  test("rows leave as they came, a request's among another's, within the tokens of a batch", () => {
    const { admit, put, taken, queue } = queueAt();
    const [a, b] = [admit(2), admit(2)];
    put(a, [40, 30]);
    put(b, [20, 50]);
    expect([queue.rows, queue.tokens]).toEqual([4, 140]);
    expect(taken()).toEqual([
      [a, 0],
      [a, 1],
      [b, 0],
    ]);
    expect(taken()).toEqual([[b, 1]]);
    expect([queue.rows, queue.tokens, queue.oldest()]).toEqual([0, 0, null]);
  });

  test("a row that is longer than a batch is taken alone", () => {
    const { admit, put, taken } = queueAt();
    const [a, b] = [admit(), admit()];
    put(a, [500]);
    put(b, [5]);
    expect(taken()).toEqual([[a, 0]]);
    expect(taken()).toEqual([[b, 0]]);
  });

  test("the earliest deadline first, and what has none is as one that is due a second after it came", () => {
    const { clock, admit, put, taken } = queueAt();
    const none = admit();
    const late = admit(1, { deadline: 900 });
    const soon = admit(1, { deadline: 400 });
    clock.now = 500;
    const far = admit(1, { deadline: 1400 });
    for (const ticket of [none, late, soon, far]) put(ticket, [10]);
    expect(taken().map(([ticket]) => ticket)).toEqual([soon, late, none, far]);
  });

  test("a batch is of one version, that of the most urgent row", () => {
    const { admit, put, taken } = queueAt();
    const [a, b, c] = [admit(1, { version: "old" }), admit(1, { version: "new" }), admit(1, { version: "old" })];
    for (const ticket of [a, b, c]) put(ticket, [10]);
    expect(taken()).toEqual([
      [a, 0],
      [c, 0],
    ]);
    expect(taken()).toEqual([[b, 0]]);
  });
});

describe("what goes", () => {
  test("a dropped request leaves nothing: rows, tokens and what is estimated", () => {
    const { admit, put, taken, queue, learn } = queueAt();
    learn(1);
    const [a, b] = [admit(2), admit(1)];
    put(a, [30, 30]);
    put(b, [10]);
    queue.drop(a);
    queue.drop(a);
    expect([queue.rows, queue.tokens, queue.delay()]).toEqual([1, 10, 20]);
    expect(taken()).toEqual([[b, 0]]);
    expect(queue.delay()).toBe(0);
  });

  test("one that is dropped while it is tokenized takes no rows any more", () => {
    const { admit, put, queue } = queueAt();
    const a = admit(3);
    queue.drop(a);
    expect(put(a, [10, 10, 10])).toBe(false);
    expect([queue.rows, queue.tokens]).toEqual([0, 0]);
  });
});

describe("admission", () => {
  const refusal = (work: () => unknown): QueueFull => {
    try {
      work();
    } catch (error) {
      if (error instanceof QueueFull) return error;
    }
    throw new Error("it was admitted");
  };

  test("refuses rows beyond those that may wait, tokenized or not, and takes them when others went", () => {
    const { admit, put, taken } = queueAt();
    const first = admit(6);
    expect(refusal(() => admit(5)).message).toBe("6 rows wait, of 10 that may. Try again later");
    admit(4);
    put(first, [10, 10, 10, 10, 10, 10]);
    refusal(() => admit(1));
    taken(20);
    admit(2);
    refusal(() => admit(1));
  });

  test("takes more rows than may wait where nothing waits: a request is not for ever too large", () => {
    const { admit } = queueAt({ maxRows: 3 });
    admit(5);
    expect(() => admit(1)).toThrow(QueueFull);
  });

  test("refuses by the estimated waiting, what runs counted by what is left of it", () => {
    const { clock, admit, learn, rate, queue } = queueAt({ maxDelayMs: 50 });
    learn(2);
    const end = rate.begin(120, 60); // 60 ms
    expect(queue.delay()).toBe(60);
    expect(refusal(() => admit(1)).message).toBe("a row would wait 60 ms, of 50 that it may. Try again later");
    expect(queue.full(1)?.retryAfterMs).toBe(60);
    clock.now += 20;
    expect(queue.delay()).toBe(40);
    admit(1, { work: 30 }); // 15 ms
    expect(queue.delay()).toBe(55);
    refusal(() => admit(1));
    clock.now += 40;
    end();
    admit(1);
  });

  test("by default lets a full batch lie ahead, and 50 ms in any case", () => {
    const { admit, learn } = queueAt({ maxRows: 1000 });
    learn(0.5); // 2 layers a token: a batch of 100 tokens takes 400 ms
    for (let work = 0; work <= 200; work += 10) admit(1, { work: 10 });
    expect(refusal(() => admit(1)).message).toMatch("would wait 420 ms, of 400");
    const fast = queueAt({ maxRows: 1000 });
    fast.learn(100);
    fast.admit(1, { work: 5001 });
    expect(refusal(() => fast.admit(1)).message).toMatch("would wait 51 ms, of 50");
  });

  test("lets a request wait as long as it will run itself", () => {
    const { admit, learn, queue } = queueAt({ maxDelayMs: 50 });
    learn(1);
    admit(1, { work: 300 });
    expect(refusal(() => admit(1, { work: 299 })).message).toMatch("would wait 300 ms, of 299");
    expect(queue.full(299)).not.toBeNull();
    expect(queue.full(300)).toBeNull();
    admit(9, { work: 300 });
  });

  test("refuses what would miss its deadline, and nothing before the speed is known", () => {
    queueAt({ maxDelayMs: 1000 }).admit(1, { work: 1e9, deadline: 1 });
    const known = queueAt({ maxDelayMs: 1000 });
    known.learn(1);
    known.admit(1, { work: 200 });
    expect(refusal(() => known.admit(1, { deadline: known.clock.now + 199 })).message).toMatch(
      "longer than its deadline",
    );
    known.admit(1, { deadline: known.clock.now + 201 });
  });

  test("two slots halve the waiting", () => {
    const { admit, learn, queue } = queueAt({}, 2);
    learn(1);
    admit(1, { work: 100 });
    expect(queue.delay()).toBe(50);
  });
});
