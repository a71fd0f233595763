// Parses profile ids of requests. Pure.
import { isUuid, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";

/** Parses a profile id. A text that is not a UUID throws PROFILE_NOT_FOUND, like an unknown id. */
export function requireProfileId(text: string): ProfileId {
  if (!isUuid(text)) throw new AppError("PROFILE_NOT_FOUND");
  return text as ProfileId;
}
