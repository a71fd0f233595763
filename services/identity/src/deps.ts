// Declares the dependencies of identity's handlers.
import type { AccessTokenClaims } from "@muster/authz";
import type { Bus } from "@muster/bus";
import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { OutboxPort } from "@muster/outbox";
import type { Mailer } from "./mail/mailer.ts";
import type { OperationStore } from "./operations/operation-store.ts";
import type { Passwords } from "./passwords/passwords.ts";
import type { LoginThrottle } from "./throttling/login-throttle.ts";
import type { TwoFactorKeys } from "./two-factor-rules/two-factor-keys.ts";

export interface IdentityDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly database: Database;
  readonly pageTokens: PageTokens;
  readonly bus: Bus;
  readonly accessTokens: AccessTokenSigner;
  readonly log: Logger;
  readonly outbox: OutboxPort;
  readonly mailer: Mailer;
  /** A user who owns as many organizations creates no more. */
  readonly organizationsPerUserMax: number;
  readonly passwords: Passwords;
  readonly loginThrottle: LoginThrottle;
  readonly twoFactorKeys: TwoFactorKeys;
  readonly operations: OperationStore;
  /** Seals the chunks of exports. */
  readonly exportKey: Uint8Array;
  /** Digests the ids of users for the receipts of erasures. */
  readonly accountErasureKey: Uint8Array;
  /** Starts the work of new operations. Called after their commit. */
  readonly wakeOperations: () => void;
}

/** Signs the access token of a session. */
export interface AccessTokenSigner {
  sign(token: AccessTokenClaims & { readonly nowMs: number }): Promise<string>;
}
