// MergeProfile.
import type { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";

export function mergeProfile(_deps: EventsDeps): UnaryHandler<typeof ProfileService.method.mergeProfile> {
  return async () => {
    throw new AppError("UNIMPLEMENTED");
  };
}
