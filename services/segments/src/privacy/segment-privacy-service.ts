// Implements SegmentPrivacyService: the handler of each method.
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { implement } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { listMemberships } from "./list-memberships.ts";
import { reserveRetention } from "./reserve-retention.ts";

export function segmentPrivacyService(deps: SegmentsDeps) {
  return implement(SegmentPrivacyService, {
    reserveRetention: reserveRetention(deps),
    listMemberships: listMemberships(deps),
  });
}
