// Decodes the request only after the caller is authenticated, and checks every message against its rules.
import type { Message } from "@bufbuild/protobuf";
import { AssertionError } from "@muster/core";
import { AppError } from "@muster/errors";
import { firstOf } from "../client.ts";
import { Interruptible } from "../streams/interruptible.ts";
import { assertValid } from "../validation.ts";
import type { Call } from "./call.ts";
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
      if (method.methodKind === "unary") throw new AssertionError("a unary call has one message");
      if (method.methodKind === "server_streaming") return readSingle(call, source.messages);
      call.request = new Interruptible(failing(call, source.messages), call.signal, {
        check: (message) => checkOfStream(call, message),
      });
      return undefined;
    },
  };
}

async function readSingle(call: Call, messages: AsyncIterable<Message>): Promise<void> {
  const message = await firstOf(new Interruptible(messages, call.signal));
  assertValid(call.method.input, message);
  call.request = message;
}

/** A refused message fails the call even if the handler catches the failure and continues. */
function checkOfStream(call: Call, message: Message): void {
  try {
    assertValid(call.method.input, message);
  } catch (error) {
    if (error instanceof AppError) call.requestFailure = error;
    throw error;
  }
}

/** An unreadable message fails the call in the same way. */
async function* failing(call: Call, messages: AsyncIterable<Message>): AsyncIterable<Message> {
  try {
    yield* messages;
  } catch (error) {
    if (error instanceof AppError) call.requestFailure = error;
    throw error;
  }
}
