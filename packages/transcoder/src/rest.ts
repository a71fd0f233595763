// HTTP as the transcoder sees it: no sockets, no streams.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { AppError } from "@muster/errors";

export interface RestRequest {
  /** Such as "GET", in upper case. */
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly url: string;
  /** By names in lower case. */
  readonly headers: { get(name: string): string | undefined };
  /** After inflation; undefined or empty where there is none. */
  readonly body?: Uint8Array | undefined;
}

export interface RestResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
  /** The method that was called, if the request reached one, and its path template. */
  readonly route?: { readonly method: DescMethod; readonly template: string } | undefined;
  /** The error behind a 4xx or 5xx, for the log. */
  readonly error?: AppError | undefined;
}

/** What one request brings besides itself. */
export interface RestContext {
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** Epoch ms, for a method that may take so long, in milliseconds; undefined: as long as any. */
  deadlineOf?(methodMs: number | undefined): number;
  /** More metadata for the method; wins over the request's headers. */
  readonly metadata?: ReadonlyMap<string, string>;
}

/** Calls unary methods. Rejects with AppError. The Caller of @muster/rpc is one. */
export interface UnaryCaller {
  unary(
    method: DescMethod,
    request: Message,
    options: {
      readonly headers: ReadonlyMap<string, string>;
      readonly signal: AbortSignal;
      readonly deadlineMs?: number | undefined;
    },
  ): Promise<{ readonly message: Message; readonly headers: ReadonlyMap<string, string> }>;
}
