// EraseTrackedUser erases a person by user id. An unknown user is not an error.
import type { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import type { ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { findOwner } from "../profile-storage/identity-store.ts";
import { ERASURE_ID_HEADER } from "./erasure.ts";
import type { ErasureWorker } from "./erasure-worker.ts";

export function eraseTrackedUser({
  erasures,
}: {
  readonly erasures: ErasureWorker;
}): UnaryHandler<typeof ErasureService.method.eraseTrackedUser> {
  return async ({ userId }, context) => {
    const { organizationId, traceParent, deadlineMs } = context;
    const find = async (trx: Transaction): Promise<ProfileId | undefined> =>
      (await findOwner(trx, organizationId, { kind: "user_id", value: userId }))?.profileId;
    const erasure = await erasures.erase({ organizationId, traceParent, deadlineMs, find });
    if (erasure !== undefined) context.responseHeaders.set(ERASURE_ID_HEADER, erasure.id);
    return {};
  };
}
