// Reads the memberships of a person from the segments service.
import {
  SegmentPrivacyService,
  type StoredMembership,
} from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { type CallContext, type Caller, type Client, createClient, onBehalfOf } from "@muster/rpc";

/**
 * Merged profiles in one request. A response for these profiles, the root profile and the maximum number of
 * segments with the longest slugs has 3.2 MiB.
 */
const MERGED_AT_ONCE = 9;

/** Calls the segments service on behalf of the caller of the export. */
export class MembershipReader {
  readonly #client: Client<typeof SegmentPrivacyService>;

  constructor(segments: Caller) {
    this.#client = createClient(SegmentPrivacyService, segments);
  }

  /** Includes every acknowledged event; throws NOT_YET_CONSISTENT when segments cannot catch up in time. */
  async of(
    context: CallContext,
    organizationId: OrganizationId,
    root: ProfileId,
    merged: readonly ProfileId[],
  ): Promise<StoredMembership[]> {
    const rootBytes = uuidToBytes(root);
    const found: StoredMembership[] = [];
    // Without merged profiles a single request reads the memberships of the root.
    const requests = merged.length === 0 ? [[]] : chunksOf(merged, MERGED_AT_ONCE);
    let isFirst = true;
    for (const mergedIds of requests) {
      const { memberships } = await this.#client.listMemberships(
        {
          organizationId: uuidToBytes(organizationId),
          profileId: rootBytes,
          mergedProfileIds: mergedIds.map(uuidToBytes),
        },
        onBehalfOf(context),
      );
      // The first response already contained the memberships of the root.
      for (const membership of memberships) {
        if (isFirst || Buffer.compare(membership.profileId, rootBytes) !== 0) found.push(membership);
      }
      isFirst = false;
    }
    return found;
  }
}
