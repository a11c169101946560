// Server-sent events out of the bytes of an answer: https://html.spec.whatwg.org/multipage/server-sent-events.html.
// EventSource itself knows no POST and no header of one's own.

export interface SentEvent {
  /** "message" where the server names none. */
  readonly event: string;
  readonly data: string;
}

/** Events as their last byte comes. An event that the end cuts off is left out. */
export async function* sentEvents(
  chunks: AsyncIterable<Uint8Array>,
  mostCharacters = 16 * 2 ** 20,
): AsyncGenerator<SentEvent, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  let block: string[] = [];
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // A "\r" at the end may be half of "\r\n": it waits for what follows.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() as string;
    if (rest.length > mostCharacters) throw new RangeError(`a line of more than ${mostCharacters} characters`);
    for (const line of lines) {
      if (line !== "") {
        block.push(line);
        continue;
      }
      const event = eventOf(block);
      block = [];
      if (event) yield event;
    }
  }
}

/** null for a block without data: a comment, which keeps the connection open. */
function eventOf(lines: readonly string[]): SentEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of lines) {
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
  return data.length === 0 ? null : { event, data: data.join("\n") };
}

/** The chunks of a body. Safari's streams are not iterable yet. */
export async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // of a stream that broke
  }
}
