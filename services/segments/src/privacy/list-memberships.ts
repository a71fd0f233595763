// ListMemberships: see the proto.
import type { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";

export function listMemberships(
  _deps: SegmentsDeps,
): UnaryHandler<typeof SegmentPrivacyService.method.listMemberships> {
  return async () => {
    throw new AppError("UNIMPLEMENTED");
  };
}
