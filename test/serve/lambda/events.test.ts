import { describe, expect, test } from "@jest/globals";
import { bodyOf, type HttpEvent, isHttpEvent } from "../../../src/serve/lambda/events";

const event = (body: string | null, isBase64Encoded = false): HttpEvent => ({
  ...{ version: "2.0", body, isBase64Encoded },
  requestContext: { http: { method: "POST", path: "/v1/predict" } },
});
const base64 = (bytes: readonly number[] | string) => event(Buffer.from(bytes as string).toString("base64"), true);

describe("the body of an event", () => {
  test("is read as that of a request to the server", () => {
    expect(bodyOf(event('{"text":"Köln"}'))).toEqual({ text: "Köln" });
    expect(bodyOf(base64('{"text":"Köln"}'))).toEqual({ text: "Köln" });
    expect(bodyOf(event(null))).toBe(undefined);
  });

  test.each([
    ["bytes that are no UTF-8", base64([0x22, 0xff, 0x22]), /not UTF-8/],
    ["no JSON", event("{"), /no JSON/],
    ["what nests too deep", event("[".repeat(33)), /nests deeper than 32/],
  ])("%s is refused", (_, given, message) => {
    expect(() => bodyOf(given)).toThrow(
      expect.objectContaining({ code: "bad_json", message: expect.stringMatching(message) }),
    );
  });
});

test("what only looks like an event is a direct call", () => {
  expect(isHttpEvent(event("{}"))).toBe(true);
  for (const http of [null, "POST", {}, { method: 5 }]) {
    expect(isHttpEvent({ version: "2.0", requestContext: { http } })).toBe(false);
  }
  for (const given of [
    null,
    undefined,
    "hello",
    { version: "2.0" },
    { version: "1.0", requestContext: { http: {} } },
  ]) {
    expect(isHttpEvent(given)).toBe(false);
  }
});
