// Reads the memberships of a person from the segments service.
import {
  SegmentPrivacyService,
  type StoredMembership,
} from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { type CallContext, type Caller, type Client, createClient, onBehalfOf } from "@muster/rpc";

/**
 * Merged profiles in one request. A response for these profiles and the maximum number of segments has 2 MiB.
 */
const MERGED_AT_ONCE = 20;

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
    for (let start = 0; start === 0 || start < merged.length; start += MERGED_AT_ONCE) {
      const { memberships } = await this.#client.listMemberships(
        {
          organizationId: uuidToBytes(organizationId),
          profileId: rootBytes,
          mergedProfileIds: merged.slice(start, start + MERGED_AT_ONCE).map(uuidToBytes),
        },
        onBehalfOf(context),
      );
      // The first response already contained the memberships of the root.
      const isNew = ({ profileId }: StoredMembership) =>
        start === 0 || Buffer.compare(profileId, rootBytes) !== 0;
      for (const membership of memberships) if (isNew(membership)) found.push(membership);
    }
    return found;
  }
}
