// ProvisionOrganization: creates an organization for a customer of a partner.
import type { ProvisioningService } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { AssertionError, type OrganizationId, type PartnerId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { CallContext, UnaryHandler } from "@muster/rpc";
import {
  type Provisioning,
  type ProvisioningContent,
  type ProvisioningKey,
  ProvisioningUndone,
} from "./provisioning.ts";
import { provisioningToProto } from "./provisioning-proto.ts";
import { renewInvitation } from "./renew-invitation.ts";
import { requestedProvisioning } from "./requested-provisioning.ts";
import { type ProvisioningDeps, runProvisioning } from "./run-provisioning.ts";

/** Longer than a call takes. Then the process is taken for dead; a process that lives is not harmed. */
const TAKEOVER_MS = 60_000;
/** Each further run means that another request with the same content has failed meanwhile. */
const RUNS_MAX = 3;

export function provisionOrganization(
  deps: ProvisioningDeps,
): UnaryHandler<typeof ProvisioningService.method.provisionOrganization> {
  return async (request, context) => {
    const content = requestedProvisioning(request);
    const key = { partnerId: partnerOf(context), externalId: request.externalId };
    for (let run = 1; run <= RUNS_MAX; run += 1) {
      const provisioning = await beginProvisioning(deps, key, content);
      const { owner } = provisioning;
      if (owner !== undefined) {
        if (owner.isInvited) await renewInvitation(deps, provisioning);
        return provisioningToProto(provisioning, owner);
      }
      try {
        return await runProvisioning(deps, context, provisioning);
      } catch (error) {
        if (!(error instanceof ProvisioningUndone)) throw error;
      }
    }
    throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000 });
  };
}

/** The provisioning under the key, which may be a new one. PROVISIONING_CONFLICT for one with other content. */
function beginProvisioning(
  { database, clock, ids, provisionings }: ProvisioningDeps,
  key: ProvisioningKey,
  content: ProvisioningContent,
): Promise<Provisioning> {
  const nowMs = clock.nowMs();
  const organizationId = ids.next<OrganizationId>(nowMs);
  const begun: Provisioning = { ...key, organizationId, content, createTimeMs: nowMs, owner: undefined };
  return database.transaction(async (trx) => {
    await provisionings.insertOnce(trx, begun, nowMs + TAKEOVER_MS);
    const stored = await provisionings.lock(trx, key);
    if (stored === undefined) throw new AssertionError("an inserted provisioning is lost");
    if (!(await provisionings.hasContent(trx, key, content))) throw new AppError("PROVISIONING_CONFLICT");
    return { ...stored, content };
  });
}

function partnerOf({ principal }: CallContext): PartnerId {
  if (principal.kind !== "partner") throw new AssertionError(`the caller is no partner: ${principal.kind}`);
  return principal.id;
}
