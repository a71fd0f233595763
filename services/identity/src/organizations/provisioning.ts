// Creates organizations without a caller: for the command line, and the demo organization of the embedded
// mode. Writes directly to identity's own database, because no key exists yet.
import { EVERY_PERMISSION } from "@muster/authz";
import type { Clock, IdSource, OrganizationId } from "@muster/core";
import { type Database, isUniqueViolation } from "@muster/db";
import { invalidField } from "@muster/errors";
import { insertApiKey } from "../api-keys/api-key-store.ts";
import { issueApiKey } from "../api-keys/issue-api-key.ts";
import { insertNewOrganization, newOrganization } from "./new-organization.ts";

/** The demo organization of every embedded installation. */
export const DEMO_ORGANIZATION_ID = "01900000-0000-7000-8000-00000000de30" as OrganizationId;
const DEMO_ORGANIZATION_NAME = "Demo";
const DEMO_KEY_NAME = "Demo key";
const NAME_BYTES_MAX = 255;

export interface Provisioning {
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** An organization and its first key, with every scope. The secret is returned here and stored nowhere. */
export async function createOrganizationDirect(
  database: Database,
  { clock, ids, name }: Provisioning & { readonly name: string },
): Promise<{ readonly organizationId: OrganizationId; readonly secret: string }> {
  const bytes = Buffer.byteLength(name, "utf8");
  if (bytes === 0 || bytes > NAME_BYTES_MAX) {
    throw invalidField("name", `must be 1 to ${NAME_BYTES_MAX} bytes`);
  }
  const created = newOrganization({ clock, ids }, { name });
  await database.transaction((trx) => insertNewOrganization(trx, created));
  return { organizationId: created.organization.id, secret: created.secret };
}

/**
 * Creates the demo organization and its key unless they exist; of several concurrent calls one creates them.
 * Returns the secret only to the call that created a key. `keyLost` creates a further key for an existing
 * organization: a crash may happen between creating the first key and writing its file.
 */
export async function ensureDemoOrganization(
  database: Database,
  { clock, ids, keyLost = false }: Provisioning & { readonly keyLost?: boolean },
): Promise<{ readonly organizationId: OrganizationId; readonly secret: string | undefined }> {
  const organizationId = DEMO_ORGANIZATION_ID;
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
