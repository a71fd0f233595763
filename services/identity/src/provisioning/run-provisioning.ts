// Runs a provisioning to the end, or undoes the work. Steps may run twice, at two processes at once, and after a crash.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type WriteContext, writeTransaction } from "@muster/outbox";
import { insertClosings } from "../closing/closing-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { insertOrganization } from "../organizations/organization-store.ts";
import { insertOwner } from "./insert-owner.ts";
import { type Provisioning, ProvisioningUndone } from "./provisioning.ts";
import { provisionedOrganization, provisioningToProto } from "./provisioning-proto.ts";
import type { ProvisioningStep, StepDeps } from "./provisioning-steps.ts";
import type { ProvisioningStore, StoredProvisioning } from "./provisioning-store.ts";

export interface ProvisioningDeps extends IdentityDeps, StepDeps {
  readonly provisionings: ProvisioningStore;
  readonly steps: readonly ProvisioningStep[];
}

/**
 * Runs the steps of the other services, and then stores the rows of identity. A failure leaves no rows but the ids of the
 * erasure. Rejects with ProvisioningUndone when another process has undone the work.
 */
export async function runProvisioning(
  deps: ProvisioningDeps,
  context: WriteContext,
  provisioning: Provisioning,
) {
  try {
    for (const step of deps.steps) await runStep(deps, step, provisioning);
    return await finishProvisioning(deps, context, provisioning);
  } catch (error) {
    if (!(error instanceof ProvisioningUndone)) await undoProvisioning(deps, provisioning);
    throw error;
  }
}

async function runStep(
  deps: StepDeps,
  step: ProvisioningStep,
  { organizationId }: Provisioning,
): Promise<void> {
  try {
    await step.run(deps, organizationId);
  } catch (error) {
    throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000, cause: error });
  }
}

/** One transaction: the organization, the owner, the mail and the end of the work. */
function finishProvisioning(deps: ProvisioningDeps, context: WriteContext, provisioning: Provisioning) {
  const { provisionings } = deps;
  return writeTransaction(deps, context, async (trx, write) => {
    const { owner: known } = await lockOwn(deps, trx, provisioning);
    if (known !== undefined) return provisioningToProto(provisioning, known);
    await insertOrganization(trx, provisionedOrganization(provisioning));
    const owner = await insertOwner(deps, trx, write, provisioning);
    await provisionings.finish(trx, provisioning, owner);
    return provisioningToProto(provisioning, owner);
  });
}

/** A later request may use the external id for a new organization. */
async function lockOwn(
  { provisionings }: ProvisioningDeps,
  trx: Transaction,
  provisioning: Provisioning,
): Promise<StoredProvisioning> {
  const stored = await provisionings.lock(trx, provisioning);
  if (stored?.organizationId !== provisioning.organizationId) throw new ProvisioningUndone();
  return stored;
}

/** The other services erase the id for ever, so a late step stores nothing that stays. */
async function undoProvisioning(deps: ProvisioningDeps, provisioning: Provisioning): Promise<void> {
  const { database, clock, provisionings, steps } = deps;
  const { organizationId } = provisioning;
  await database.transaction(async (trx) => {
    const stored = await provisionings.lock(trx, provisioning);
    if (stored?.organizationId !== organizationId || stored.owner !== undefined) return;
    await provisionings.delete(trx, provisioning);
    const services = steps.map(({ service }) => service);
    await insertClosings(trx, organizationId, clock.nowMs(), services);
  });
}
