// Converts receipts to messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ErasureSchema, ErasureState } from "@muster/contracts/muster/events/v1/erasure_pb";
import type { Erasure } from "./erasure.ts";

export function erasureToProto(erasure: Erasure): MessageInitShape<typeof ErasureSchema> {
  const { id, createMs, completeMs, profileIds, locations } = erasure;
  return {
    id,
    state: completeMs === undefined ? ErasureState.RUNNING : ErasureState.COMPLETE,
    createTime: timestampFromMs(createMs),
    ...(completeMs !== undefined && { completeTime: timestampFromMs(completeMs) }),
    profileIds: [...profileIds],
    locations: locations.map(({ location, count }) => ({ location, count: BigInt(count) })),
  };
}
