// Creates the demo organization of the embedded mode, with an API key and an owner.
import { EVERY_PERMISSION } from "@muster/authz";
import { canonicalEmail, type OrganizationId } from "@muster/core";
import { type Database, isUniqueViolation } from "@muster/db";
import { findClosedOrganization } from "@muster/outbox";
import { insertApiKey } from "../api-keys/api-key-store.ts";
import { issueApiKey } from "../api-keys/issue-api-key.ts";
import { hasOwner } from "../memberships/membership-store.ts";
import { Passwords } from "../passwords/passwords.ts";
import { findUserByEmail } from "../users/user-store.ts";
import { insertNewOrganization, newOrganization } from "./new-organization.ts";
import { provisionOwner } from "./provision-owner.ts";
import type { Provisioning } from "./provisioning.ts";

/** The demo organization of every embedded installation. */
export const DEMO_ORGANIZATION_ID = "01900000-0000-7000-8000-00000000de30" as OrganizationId;
export const DEMO_OWNER_EMAIL = "owner@demo.test";
const DEMO_ORGANIZATION_NAME = "Demo";
const DEMO_KEY_NAME = "Demo key";

/**
 * Creates the demo organization and a key unless the organization exists; of concurrent calls, a single call creates
 * both. Returns the secret only to the call that created a key, and undefined when somebody has deleted the
 * organization: its id never comes back. `keyLost` creates a further key for an existing organization, because a crash
 * may happen between creating the first key and writing the file.
 */
export async function ensureDemoOrganization(
  database: Database,
  { clock, ids, keyLost = false }: Provisioning & { readonly keyLost?: boolean },
): Promise<{ readonly organizationId: OrganizationId; readonly secret: string | undefined } | undefined> {
  const organizationId = DEMO_ORGANIZATION_ID;
  if ((await findClosedOrganization(database.reader, organizationId)) !== undefined) return undefined;
  const created = newOrganization(
    { clock, ids },
    { id: organizationId, name: DEMO_ORGANIZATION_NAME, keyName: DEMO_KEY_NAME },
  );
  try {
    await database.transaction((trx) => insertNewOrganization(trx, created));
    return { organizationId, secret: created.secret };
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
  }
  if (!keyLost) return { organizationId, secret: undefined };
  const { apiKey, secret } = issueApiKey(
    { clock, ids },
    { organizationId, name: DEMO_KEY_NAME, scopes: [EVERY_PERMISSION] },
  );
  await database.transaction((trx) => insertApiKey(trx, apiKey));
  return { organizationId, secret };
}

/** True also when the owner has another address by now, or has left the organization to another owner. */
export async function hasDemoOwner({ reader }: Database): Promise<boolean> {
  const user = await findUserByEmail(reader, canonicalEmail(DEMO_OWNER_EMAIL));
  return user !== undefined || (await hasOwner(reader, DEMO_ORGANIZATION_ID));
}

/** Creates the owner of the demo organization, who must not exist. */
export async function createDemoOwner(
  database: Database,
  { clock, ids, password }: Provisioning & { readonly password: string },
): Promise<void> {
  const passwordHash = await new Passwords({ clock, slots: 1 }).hash(password);
  const owner = { organizationId: DEMO_ORGANIZATION_ID, email: DEMO_OWNER_EMAIL, passwordHash };
  await database.transaction((trx) => provisionOwner(trx, ids, owner, clock.nowMs()));
}
