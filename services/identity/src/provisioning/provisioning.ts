// Declares the provisioning of an organization by a partner.
import type { OrganizationId, PartnerId, UserId } from "@muster/core";
import { PlainError } from "@muster/core";

/** What the partner has requested, checked. */
export interface ProvisioningContent {
  readonly organizationName: string;
  /** As the partner wrote it. */
  readonly ownerEmail: string;
  readonly ownerName: string;
}

/** Names a provisioning. The external ids of different partners do not collide. */
export interface ProvisioningKey {
  readonly partnerId: PartnerId;
  readonly externalId: string;
}

/** The rows of identity are stored by one transaction at the end, so that no read returns an organization in part. */
export interface Provisioning extends ProvisioningKey {
  readonly organizationId: OrganizationId;
  readonly content: ProvisioningContent;
  readonly createTimeMs: number;
  /** Undefined until the work is done. */
  readonly owner: StoredOwner | undefined;
}

export interface StoredOwner extends Omit<ProvisionedOwner, "id"> {
  /** Undefined once the account is erased. */
  readonly id: UserId | undefined;
}

export interface ProvisionedOwner {
  readonly id: UserId;
  /** A person with an account is invited; any other person is the owner at once. */
  readonly isInvited: boolean;
}

/** The provisioning was undone meanwhile, after a failure of another process. */
export class ProvisioningUndone extends PlainError {
  override name = "ProvisioningUndone";

  constructor() {
    super("the provisioning was undone meanwhile");
  }
}
