// UnmergeProfile.
import type { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";

export function unmergeProfile(_deps: EventsDeps): UnaryHandler<typeof ProfileService.method.unmergeProfile> {
  return async () => {
    throw new AppError("UNIMPLEMENTED");
  };
}
