// Converts profiles to messages, and validates profile fields of requests.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import { AppError, type FieldError } from "@muster/errors";
import { jsonObjectProblem } from "../json/json-object.ts";
import type { Profile } from "../profile-storage/profile.ts";

/** Converts a visible profile to a message. */
export function profileToProto(profile: Profile): MessageInitShape<typeof ProfileSchema> {
  return {
    id: profile.id,
    ...(profile.userId !== undefined && { userId: profile.userId }),
    ...(profile.anonymousId !== undefined && { anonymousId: profile.anonymousId }),
    ...(profile.email !== undefined && { email: profile.email }),
    ...(profile.name !== undefined && { name: profile.name }),
    traits: profile.traits,
    createTime: timestampFromMs(profile.createMs),
    updateTime: timestampFromMs(profile.updateMs),
  };
}

/** The fields of a profile in a request. */
export interface SentProfileFields {
  readonly userId?: string | undefined;
  readonly anonymousId?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly traits?: string | undefined;
}

/** Throws FIELD_INVALID for rules that the proto constraints cannot express. */
export function checkProfileFields(sent: SentProfileFields, fieldPrefix = ""): void {
  const fields: FieldError[] = [];
  const texts = { user_id: sent.userId, anonymous_id: sent.anonymousId, email: sent.email, name: sent.name };
  for (const [field, text] of Object.entries(texts)) {
    if (text?.isWellFormed() === false) {
      fields.push({ field: `${fieldPrefix}${field}`, message: "must be valid Unicode" });
    }
  }
  const problem = sent.traits === undefined ? undefined : jsonObjectProblem(sent.traits);
  if (problem !== undefined) fields.push({ field: `${fieldPrefix}traits`, message: problem });
  const [first] = fields;
  if (first !== undefined) {
    throw new AppError("FIELD_INVALID", { message: `${first.field}: ${first.message}`, fields });
  }
}
