// DeleteOrganization: requests the deletion of the caller's own organization, which takes effect seven days later.
import { create } from "@bufbuild/protobuf";
import {
  DeleteOrganizationResponseSchema,
  type OrganizationService,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import type { UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { listOwners } from "../memberships/owner-store.ts";
import type { Organization } from "../organizations/organization.ts";
import { organizationUpdated } from "../organizations/organization-events.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { lockOrganization, saveOrganization } from "../organizations/organization-store.ts";
import { findUsers } from "../users/user-store.ts";

/** Until then everything works, and the deletion can be revoked. */
const DELETION_MS = 7 * 86_400_000;
const OWNERS_AT_ONCE = 100;

export function deleteOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.deleteOrganization> {
  return async (request, context) => {
    // An organization of others is reported as not found, like an unknown id.
    if (request.organizationId !== context.organizationId) throw new AppError("ORGANIZATION_NOT_FOUND");
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const before = await lockOrganization(trx, context.organizationId);
      if (before === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
      const after = before.deleteTimeMs === undefined ? deleted(before, nowMs) : before;
      if (after !== before) {
        await saveOrganization(trx, after);
        await mailOwners(deps, trx, after);
        write.publish(organizationUpdated(after, nowMs));
        write.afterCommit(() => deps.mailer.wake());
      }
      return create(DeleteOrganizationResponseSchema, { organization: organizationToProto(after) });
    });
  };
}

function deleted(before: Organization, nowMs: number): Organization {
  return { ...before, deleteTimeMs: nowMs + DELETION_MS, version: before.version + 1, updateTimeMs: nowMs };
}

async function mailOwners(
  { mailer }: IdentityDeps,
  trx: Transaction,
  { id, name: organization, deleteTimeMs = 0 }: Organization,
): Promise<void> {
  const time = new Date(deleteTimeMs).toISOString();
  for (let after: UserId | undefined; ; ) {
    const owners = await listOwners(trx, id, after, OWNERS_AT_ONCE);
    for (const { email, name, locale } of await findUsers(trx, owners)) {
      await mailer.queue(trx, {
        to: email,
        kind: "organization_closing",
        locale,
        values: { name, organization, time },
      });
    }
    if (owners.length < OWNERS_AT_ONCE) return;
    after = owners.at(-1);
  }
}
