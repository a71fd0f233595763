// Reads the id of a user from a request. Pure.
import { isUuid, type UserId } from "@muster/core";
import { AppError } from "@muster/errors";

/** USER_NOT_FOUND for text that is no id. */
export function requireUserId(text: string): UserId {
  if (!isUuid(text)) throw new AppError("USER_NOT_FOUND");
  return text as UserId;
}
