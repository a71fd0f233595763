// Declares the origin of an identity change: organization, credential and request trace.
import type { OrganizationId } from "@muster/core";
import type { CallContext } from "@muster/rpc";

/** The call that changes the identity graph, for the journal and the published messages. */
export interface ChangeOrigin {
  readonly organizationId: OrganizationId;
  /** Kind and id of the credential, for example `api_key:<id>`. */
  readonly actor: string;
  readonly traceParent: string;
}

/** Returns the origin of a change that the call causes. */
export function changeOriginOf({ organizationId, principal, traceParent }: CallContext): ChangeOrigin {
  return { organizationId, actor: `${principal.kind}:${principal.id}`, traceParent };
}
