// Verifies the segments of a running system, as a stream of progress and mismatches.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  SegmentVerificationService,
  VerifySegmentsResponseSchema,
} from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { ServerStreamHandler } from "@muster/rpc";
import type { SegmentVerifier, VerificationPart } from "./segment-verifier.ts";

export function verifySegments(
  verifier: SegmentVerifier,
): ServerStreamHandler<typeof SegmentVerificationService.method.verifySegments> {
  return async function* (request, context) {
    const organizationId = readOrganization(request.organizationId);
    const seed = Number(request.seed);
    const { profiles } = request;
    for await (const part of verifier.run({ profiles, seed, organizationId }, context.signal)) {
      yield toProto(part);
    }
  };
}

function readOrganization(bytes: Uint8Array): OrganizationId | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes.length !== 16) throw invalidField("organization_id", "must be empty or of 16 bytes");
  return bytesToUuid(bytes);
}

function toProto(part: VerificationPart): MessageInitShape<typeof VerifySegmentsResponseSchema> {
  if (part.kind === "mismatch") {
    const { organizationId, profileId, segmentId, evaluatedMs, ...results } = part.mismatch;
    const value = {
      ...results,
      organizationId: uuidToBytes(organizationId),
      profileId: uuidToBytes(profileId),
      segmentId: uuidToBytes(segmentId),
      evaluatedMs: BigInt(evaluatedMs),
    };
    return { part: { case: "mismatch", value } };
  }
  const { known, memberships, capped, limited, beyondRetention, mismatches, ...counts } = part.progress;
  const value = {
    ...counts,
    known: BigInt(known),
    memberships: BigInt(memberships),
    capped: BigInt(capped),
    limited: BigInt(limited),
    beyondRetention: BigInt(beyondRetention),
    mismatches: BigInt(mismatches),
    done: part.done,
  };
  return { part: { case: "progress", value } };
}
