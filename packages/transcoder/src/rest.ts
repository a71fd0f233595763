// Declares HTTP requests and responses of the transcoder, without sockets and streams.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { AppError } from "@muster/errors";

export interface RestRequest {
  /** Such as "GET", in upper case. */
  readonly method: string;
  /** Path and query of the request line. */
  readonly url: string;
  /** By names in lower case. */
  readonly headers: { get(name: string): string | undefined };
  /**
   * Reads the body after inflation; empty for a request without a body. Called at most once, and only after
   * the caller is admitted. `bytesMax` is the method's own limit.
   */
  readonly body?: ((bytesMax: number | undefined) => Promise<Uint8Array>) | undefined;
}

export interface RestResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
  /**
   * The body in pieces, in place of `body`. Rejects where the rest of the body cannot be had. The reader calls `return`
   * if it does not read to the end.
   */
  readonly stream?: AsyncIterableIterator<Uint8Array> | undefined;
  /** The called method and its path template, if the request reached a method. */
  readonly route?: { readonly method: DescMethod; readonly template: string } | undefined;
  /** The error behind a 4xx or 5xx, for the log. */
  readonly error?: AppError | undefined;
}

/** Context of a request besides the request itself. */
export interface RestContext {
  readonly requestId: string;
  readonly signal: AbortSignal;
  /**
   * Returns the deadline, in epoch ms. The argument is the method's own limit in milliseconds; undefined
   * means the default limit.
   */
  deadlineOf?(methodMs: number | undefined): number;
  /**
   * Authenticates and authorizes the caller by the headers. `userId` is the text of the policy's `self_field`, if the path
   * contains the field. Rejects with AppError.
   */
  admit?(method: DescMethod, userId?: string): Promise<void>;
  /** Checks the signature of the body of a method with `raw_body`, before the body is parsed. Rejects with AppError. */
  admitBody?(method: DescMethod, body: Uint8Array): Promise<void>;
  /** More metadata for the method; overrides the request's headers. */
  readonly metadata?: ReadonlyMap<string, string>;
}

interface MethodCallOptions {
  readonly headers: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  readonly deadlineMs?: number | undefined;
}

/** Calls methods. Rejects with AppError. The Caller of @muster/rpc implements this interface. */
export interface MethodCaller {
  unary(
    method: DescMethod,
    request: Message,
    options: MethodCallOptions,
  ): Promise<{ readonly message: Message; readonly headers: ReadonlyMap<string, string> }>;
  /** The headers are complete once the first message or the end has arrived. */
  stream(
    method: DescMethod,
    requests: AsyncIterable<Message>,
    options: MethodCallOptions,
  ): { readonly messages: AsyncIterable<Message>; readonly headers: ReadonlyMap<string, string> };
}
