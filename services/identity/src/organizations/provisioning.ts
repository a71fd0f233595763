// Creates organizations for the command line. Writes directly to identity's own database, because no caller exists
// yet.
import type { Clock, IdSource, OrganizationId, UserId } from "@muster/core";
import { type Database, isUniqueViolation } from "@muster/db";
import { invalidField } from "@muster/errors";
import { insertNewOrganization, newOrganization } from "./new-organization.ts";
import { provisionOwner, requireOwnerEmail } from "./provision-owner.ts";

const NAME_BYTES_MAX = 255;

export interface Provisioning {
  readonly clock: Clock;
  readonly ids: IdSource;
}

export interface ProvisionedOrganization {
  readonly organizationId: OrganizationId;
  /** The first key, with every scope. Returned here and stored nowhere. */
  readonly secret: string;
  readonly ownerId: UserId | undefined;
}

/**
 * An organization, its first key and its owner. A new owner has no password yet and an address that is not verified:
 * setting a password by mail verifies the address.
 */
export async function createOrganizationDirect(
  database: Database,
  { clock, ids, name, ownerEmail }: Provisioning & { readonly name: string; readonly ownerEmail?: string },
): Promise<ProvisionedOrganization> {
  const bytes = Buffer.byteLength(name, "utf8");
  if (bytes === 0 || bytes > NAME_BYTES_MAX) {
    throw invalidField("name", `must be 1 to ${NAME_BYTES_MAX} bytes`);
  }
  if (ownerEmail !== undefined) requireOwnerEmail(ownerEmail);
  const created = newOrganization({ clock, ids }, { name });
  const { id: organizationId, createTimeMs } = created.organization;
  const ownerId = await untilUnique(() =>
    database.transaction(async (trx) => {
      await insertNewOrganization(trx, created);
      if (ownerEmail === undefined) return undefined;
      return provisionOwner(trx, ids, { organizationId, email: ownerEmail }, createTimeMs);
    }),
  );
  return { organizationId, secret: created.secret, ownerId };
}

/** The second run finds a user that another transaction has created meanwhile. */
async function untilUnique<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    return run();
  }
}
