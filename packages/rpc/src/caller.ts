// Declares how a call reaches a service: in this process, or behind a gRPC address.
import type { DescMethod, Message } from "@bufbuild/protobuf";

export interface CallOptions {
  /** Request metadata, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  /** Epoch ms. */
  readonly deadlineMs?: number | undefined;
  /** IP address of the connection's other end; set by mounts that face a network. */
  readonly peerAddress?: string | undefined;
}

export interface UnaryResponse {
  readonly message: Message;
  /** Metadata of the response, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface StreamResponse {
  readonly messages: AsyncIterable<Message>;
  /** Metadata of the response, complete once the first message or the end has arrived. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Rejections are always AppError. */
export interface Caller {
  unary(method: DescMethod, request: Message, options: CallOptions): Promise<UnaryResponse>;
  stream(method: DescMethod, requests: AsyncIterable<Message>, options: CallOptions): StreamResponse;
}
