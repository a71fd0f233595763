// Calls a method that streams google.api.HttpBody, and renders its messages as an HTTP body.
import type { Message } from "@bufbuild/protobuf";
import type { HttpBody } from "@muster/contracts/google/api/httpbody_pb";
import { bodyHeadersOf, HTTP_IF_RANGE, HTTP_METHOD, HTTP_RANGE } from "./http-metadata.ts";
import { shownOf, statusOf } from "./render-response.ts";
import type { MethodCaller, RestRequest, RestResponse } from "./rest.ts";
import type { Route } from "./routes/route.ts";

export interface StreamCall {
  readonly caller: MethodCaller;
  readonly route: Route;
  readonly message: Message;
  readonly headers: Map<string, string>;
  readonly signal: AbortSignal;
  readonly deadlineMs: number | undefined;
  readonly shownHeaders: readonly string[];
}

/** A Range header that is passed on. Longer headers list several ranges, which no response has. */
const RANGE_FORM = /^[\x20-\x7e]{1,256}$/;

/** Resolves with the first message, so that an error before it becomes a response of its own. */
export async function streamResponse(request: RestRequest, call: StreamCall): Promise<RestResponse> {
  const { caller, route, message, headers, signal, deadlineMs } = call;
  addRequestMetadata(request, headers);
  const response = caller.stream(route.method, only(message), { headers, signal, deadlineMs });
  const messages = response.messages[Symbol.asyncIterator]() as AsyncIterator<HttpBody>;
  const first = await messages.next();
  const own = first.done === true ? "" : first.value.contentType;
  const rendered = {
    status: statusOf(route, response.headers),
    headers: {
      "content-type": own === "" ? "application/octet-stream" : own,
      ...shownOf(response.headers, call.shownHeaders),
      ...bodyHeadersOf(response.headers),
    },
    body: undefined,
  };
  if (request.method !== "HEAD") return { ...rendered, stream: new BodyPieces(first, messages) };
  await messages.return?.();
  return rendered;
}

function addRequestMetadata({ method, headers }: RestRequest, metadata: Map<string, string>): void {
  metadata.set(HTTP_METHOD, method);
  // RFC 9110 defines ranges for GET alone.
  if (method !== "GET") return;
  for (const [name, key] of [
    ["range", HTTP_RANGE],
    ["if-range", HTTP_IF_RANGE],
  ] as const) {
    const value = headers.get(name);
    if (value === undefined) continue;
    // A range that cannot be passed on is ignored, and so is a condition, together with its range.
    if (!RANGE_FORM.test(value)) {
      metadata.delete(HTTP_RANGE);
      return;
    }
    metadata.set(key, value);
  }
}

async function* only(message: Message): AsyncIterable<Message> {
  yield message;
}

/** The data of the messages. A class, because `return` of a generator that never started would not reach `messages`. */
class BodyPieces implements AsyncIterableIterator<Uint8Array> {
  readonly #messages: AsyncIterator<HttpBody>;
  #first: IteratorResult<HttpBody> | undefined;

  constructor(first: IteratorResult<HttpBody>, messages: AsyncIterator<HttpBody>) {
    this.#first = first;
    this.#messages = messages;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const result = this.#first ?? (await this.#messages.next());
      this.#first = undefined;
      if (result.done === true) return { done: true, value: undefined };
      if (result.value.data.byteLength > 0) return { done: false, value: result.value.data };
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    await this.#messages.return?.();
    return { done: true, value: undefined };
  }
}
