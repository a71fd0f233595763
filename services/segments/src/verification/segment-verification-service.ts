// Implements SegmentVerificationService: the handler of each method.
import { SegmentVerificationService } from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";
import { implement } from "@muster/rpc";
import type { SegmentVerifier } from "./segment-verifier.ts";
import { verifySegments } from "./verify-segments.ts";

export function segmentVerificationService(verifier: SegmentVerifier) {
  return implement(SegmentVerificationService, { verifySegments: verifySegments(verifier) });
}
