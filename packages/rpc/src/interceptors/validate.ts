// Reads the request only once the caller is known, and holds every message to its rules.
import type { Message } from "@bufbuild/protobuf";
import { AssertionError } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Call } from "../call.ts";
import { firstOf } from "../client.ts";
import { Interruptible } from "../interruptible.ts";
import { assertValid } from "../validation.ts";
import type { Before } from "./interceptor.ts";

export function validate(): Before {
  return {
    before(call) {
      const { source, method } = call;
      if ("decode" in source) {
        const message = source.decode();
        assertValid(method.input, message);
        call.request = message;
        return undefined;
      }
      const messages = new Interruptible(source.messages, call.signal);
      if (method.methodKind === "server_streaming") return readSingle(call, messages);
      if (method.methodKind !== "bidi_streaming") throw new AssertionError("a unary call has one message");
      call.request = validated(call, messages);
      return undefined;
    },
  };
}

async function readSingle(call: Call, messages: AsyncIterable<Message>): Promise<void> {
  const message = await firstOf(messages);
  assertValid(call.method.input, message);
  call.request = message;
}

async function* validated(call: Call, messages: AsyncIterable<Message>): AsyncIterable<Message> {
  try {
    for await (const message of messages) {
      assertValid(call.method.input, message);
      yield message;
    }
  } catch (error) {
    if (error instanceof AppError) call.requestFailure = error;
    throw error;
  }
}
