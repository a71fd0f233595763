// ReadOutbox returns outbox messages of one shard after a position, bounded by the size of a response.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { BODY_BYTES_MAX } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";

/** Number of messages of maximum size that fit into a response. */
const READ_AT_ONCE = 7;
/** Leaves room for the other fields of the response. */
const RESPONSE_BYTES_MAX = BODY_BYTES_MAX - 64 * 1024;

export function readOutbox(deps: EventsDeps): UnaryHandler<typeof EventFeedService.method.readOutbox> {
  return async ({ shard, afterPosition, limit }) => {
    const envelopes: Envelope[] = [];
    let bytes = 0;
    for (let after = Number(afterPosition); envelopes.length < limit; ) {
      const found = await deps.outbox.read(shard, after, Math.min(READ_AT_ONCE, limit - envelopes.length));
      for (const envelope of found) {
        bytes += envelope.data.byteLength + 1024;
        if (bytes > RESPONSE_BYTES_MAX && envelopes.length > 0) return { envelopes };
        envelopes.push(envelope);
        after = Number(envelope.position);
      }
      if (found.length === 0) break;
    }
    return { envelopes };
  };
}
