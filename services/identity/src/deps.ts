// Declares the dependencies of identity's handlers.
import type { Bus } from "@muster/bus";
import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { OutboxPort } from "@muster/outbox";
import type { AccessTokens } from "./access-tokens/access-tokens.ts";
import type { Mailer } from "./mail/mailer.ts";

export interface IdentityDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly database: Database;
  readonly pageTokens: PageTokens;
  readonly bus: Bus;
  readonly accessTokens: AccessTokens;
  readonly log: Logger;
  readonly outbox: OutboxPort;
  readonly mailer: Mailer;
  /** A user who owns as many organizations creates no more. */
  readonly organizationsPerUserMax: number;
}
