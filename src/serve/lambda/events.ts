// What a function is called with, and what it gives back: an event of API Gateway (payload 2.0) or of a function's own
// address, or the body of a request as it is.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

import { parseBody } from "../http/body";

/** As far as it is read here. */
export interface HttpEvent {
  readonly version: "2.0";
  readonly rawPath?: string;
  readonly body?: string | null;
  readonly isBase64Encoded?: boolean;
  readonly requestContext: {
    readonly requestId?: string;
    readonly http: { readonly method: string; readonly path: string };
  };
}

export interface HttpResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const isHttpEvent = (event: unknown): event is HttpEvent =>
  Object(event).version === "2.0" && typeof Object(Object(Object(event).requestContext).http).method === "string";

/** Throws ApiError (400) for what is no JSON in UTF-8. */
export const bodyOf = ({ body, isBase64Encoded }: HttpEvent): unknown =>
  parseBody(Buffer.from(body ?? "", isBase64Encoded ? "base64" : "utf8"));

export const httpResult = (
  status: number,
  body: unknown,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResult => ({
  statusCode: status,
  headers: { "content-type": "application/json; charset=utf-8", "x-request-id": requestId, ...headers },
  body: JSON.stringify(body),
});
