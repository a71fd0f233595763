// Profiles have only the fields in responses that a request selects.
import { create } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { type Profile as ProfileMessage, ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import { clearUnselected, selectedFields } from "@muster/list-queries";
import type { Profile } from "../profile-storage/profile.ts";
import { profileToProto } from "./profile-proto.ts";

/** FIELD_INVALID for a field that profiles do not have. */
export function profileSelection(fields: FieldMask | undefined): (profile: Profile) => ProfileMessage {
  const selected = selectedFields(fields, ProfileSchema.fields);
  return (profile) =>
    clearUnselected(create(ProfileSchema, profileToProto(profile)), ProfileSchema.fields, selected);
}
