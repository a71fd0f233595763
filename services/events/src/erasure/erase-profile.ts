// EraseProfile erases a person by the id of any profile of the person.
import type { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";
import { ERASURE_ID_HEADER } from "./erasure.ts";
import type { ErasureWorker } from "./erasure-worker.ts";

export function eraseProfile({
  erasures,
}: {
  readonly erasures: ErasureWorker;
}): UnaryHandler<typeof ErasureService.method.eraseProfile> {
  return async (request, context) => {
    const { organizationId, traceParent, deadlineMs } = context;
    const profileId = requireProfileId(request.profileId);
    const find = async () => profileId;
    const erasure = await erasures.erase({ organizationId, traceParent, deadlineMs, find });
    if (erasure === undefined) throw new AppError("PROFILE_NOT_FOUND");
    context.responseHeaders.set(ERASURE_ID_HEADER, erasure.id);
    return {};
  };
}
