// Generates all records about a person one at a time, so that an export of any size needs little memory.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ExportedRecordSchema } from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import {
  type StoredMembership,
  StoredMembershipSchema,
} from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import type { Queryable } from "@muster/db";
import { personalJson } from "@muster/privacy";
import { groupProfiles, type ProfileGroup } from "../identity-graph/profile-group.ts";
import { profileToProto } from "../profiles/profile-proto.ts";
import { sections } from "./sections.ts";

/** A record of the export; `data` is a JSON object. */
export type ExportedRecord = MessageInitShape<typeof ExportedRecordSchema> & {
  readonly kind: string;
  readonly data: string;
};

/** Yields the stored profiles of the person, then the records of each kind for all profiles. */
export async function* recordsOf(
  db: Queryable,
  group: ProfileGroup,
  memberships: readonly StoredMembership[],
): AsyncGenerator<ExportedRecord> {
  const profiles = groupProfiles(group);
  for (const profile of profiles) {
    const data = personalJson(ProfileSchema, create(ProfileSchema, profileToProto(profile)));
    yield { kind: "profile", data };
  }
  for (const { kind, records } of sections) {
    for (const { organizationId, id } of profiles) {
      for await (const data of records(db, organizationId, id)) yield { kind, data };
    }
  }
  for (const membership of memberships) {
    yield { kind: "membership", data: personalJson(StoredMembershipSchema, membership) };
  }
}
