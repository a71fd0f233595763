// Shortens deadlines that grpc-js cannot represent: beyond 2^31 ms its timer fires at once, and the call fails.
import type { IncomingHttpHeaders } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { assert } from "@muster/core";

const HEADER = "grpc-timeout";
const MS_OF_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1 };
/** The longest timer, 24 days, in whole seconds. */
const LONGEST_SECONDS = Math.floor((2 ** 31 - 1) / 1_000);

/** The part of a grpc-js server that listens; not declared by the library. */
interface Listening {
  readonly http2Servers?: ReadonlyMap<
    {
      prependListener(
        event: "stream",
        listener: (stream: unknown, headers: IncomingHttpHeaders) => void,
      ): unknown;
    },
    unknown
  >;
}

/** Call after the server has bound its port. The listener runs before the library reads the headers. */
export function shortenLongTimeouts(server: Server): void {
  const { http2Servers } = server as unknown as Listening;
  assert(http2Servers !== undefined && http2Servers.size > 0, "grpc-js lists its listening servers");
  for (const http2Server of http2Servers.keys()) {
    http2Server.prependListener("stream", (_stream, headers) => {
      const timeout = headers[HEADER];
      if (typeof timeout === "string" && isTooLong(timeout)) headers[HEADER] = `${LONGEST_SECONDS}S`;
    });
  }
}

function isTooLong(timeout: string): boolean {
  const unit = MS_OF_UNIT[timeout.slice(-1)];
  return unit !== undefined && Number(timeout.slice(0, -1)) * unit > LONGEST_SECONDS * 1_000;
}
