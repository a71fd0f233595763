// Composes the identity service.
import type { PartnerVerifier } from "@muster/authz";
import { assert, PageTokens } from "@muster/core";
import { IdempotencyWorker } from "@muster/idempotency";
import { OrganizationEraser, Outbox, OutboxRelay } from "@muster/outbox";
import type { ServiceImplementation } from "@muster/rpc";
import type { ModuleDefinition, Platform } from "@muster/runtime";
import { AccessTokens } from "./access-tokens/access-tokens.ts";
import { credentialService } from "./access-tokens/credential-service.ts";
import { accountService } from "./account/account-service.ts";
import { ExpiredDataWorker } from "./account/expired-data-worker.ts";
import { ACCOUNT_ERASURE_KIND, accountErasureRunner } from "./account-deletion/account-erasure-runner.ts";
import { apiKeyService } from "./api-key-calls/api-key-service.ts";
import { ClosingWorker } from "./closing/closing-worker.ts";
import { organizationContent } from "./closing/organization-content.ts";
import { USER_ERASURE_KIND } from "./deletion-request-storage/deletion-request.ts";
import { deletionRequestService } from "./deletion-requests/deletion-request-service.ts";
import { userErasureRunner } from "./deletion-requests/user-erasure-runner.ts";
import type { IdentityDeps } from "./deps.ts";
import { EXPORT_KIND } from "./exports/export.ts";
import { exportRunner } from "./exports/export-runner.ts";
import { invitationService } from "./invitation-calls/invitation-service.ts";
import type { LoginAnalyticsDeps } from "./login-analytics/login-analytics-deps.ts";
import { loginAnalyticsService } from "./login-analytics/login-analytics-service.ts";
import { loginConsumer } from "./login-counts/login-consumer.ts";
import { magicLinkService } from "./magic-link/magic-link-service.ts";
import { MailWorker } from "./mail/mail-worker.ts";
import { Mailer } from "./mail/mailer.ts";
import { userService } from "./members/user-service.ts";
import { operationService } from "./operation-calls/operation-service.ts";
import { OperationStore } from "./operations/operation-store.ts";
import { type OperationRunner, OperationWorker } from "./operations/operation-worker.ts";
import {
  organizationDirectoryService,
  organizationService,
} from "./organization-calls/organization-service.ts";
import { ownPartnerVerifier } from "./partners/verify-partner.ts";
import { privacyService } from "./privacy-calls/privacy-service.ts";
import { provisioningService } from "./provisioning/provisioning-service.ts";
import { provisioningSteps } from "./provisioning/provisioning-steps.ts";
import { ProvisioningStore } from "./provisioning/provisioning-store.ts";
import { ProvisioningWorker } from "./provisioning/provisioning-worker.ts";
import type { ProvisioningDeps } from "./provisioning/run-provisioning.ts";
import { RevocationBeatWorker } from "./revocation/revocation-beat-worker.ts";
import { sessionService } from "./session-calls/session-service.ts";
import { SessionWorker } from "./session-calls/session-worker.ts";
import { signingSealKey } from "./signing-keys/rotate-signing-key-direct.ts";
import { signingKeyService } from "./signing-keys/signing-key-service.ts";
import { SigningKeyWorker } from "./signing-keys/signing-key-worker.ts";
import { loginProtection } from "./throttling/login-protection.ts";
import { twoFactorService } from "./two-factor-calls/two-factor-service.ts";
import { TwoFactorWorker } from "./two-factor-calls/two-factor-worker.ts";
import { twoFactorKeys } from "./two-factor-rules/two-factor-keys.ts";

export { ownCredentials } from "./access-tokens/credential-service.ts";
export { ownApiKeyUsage } from "./api-key-usage/add-api-key-usage.ts";
export * from "./organizations/demo-organization.ts";
export { createOrganizationDirect } from "./organizations/provisioning.ts";
export { createPartnerDirect } from "./partners/create-partner-direct.ts";
export { rotateSigningKeyDirect } from "./signing-keys/rotate-signing-key-direct.ts";

export const identityModule: ModuleDefinition = {
  name: "identity",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform) {
    const { clock, ids, database, bus, log } = platform;
    const outbox = new Outbox({ ...platform, service: "identity" });
    const relay = new OutboxRelay({ ...platform, service: "identity", outbox });
    const signingKeys = { database, clock, ids, sealKey: signingSealKey(platform.ownKey) };
    const { mail: transport, settings } = platform;
    assert(transport !== undefined, "identity sends mails");
    const key = platform.ownKey("mail");
    const mailWorker = new MailWorker({ ...platform, transport, key });
    const wake = (): void => mailWorker.wake();
    const mailer = new Mailer({ ...platform, key, publicUrl: settings.publicUrl, wake });
    const { passwords, loginThrottle, unlockMailWorker } = loginProtection(platform, mailer);
    const operations = new OperationStore(platform.ownKey("operations"));
    const deps: IdentityDeps = {
      clock,
      ids,
      database,
      bus,
      log,
      outbox,
      accessTokens: new AccessTokens(signingKeys),
      organizationsPerUserMax: platform.settings.organizationsPerUserMax,
      mailer,
      passwords,
      loginThrottle,
      twoFactorKeys: twoFactorKeys(platform.ownKey("two-factor")),
      pageTokens: new PageTokens(platform.key("page-tokens")),
      operations,
      exportKey: platform.ownKey("exports"),
      accountErasureKey: platform.ownKey("account-erasures"),
      wakeOperations: () => operationWorker.wake(),
    };
    const operationWorker = new OperationWorker({ ...platform, operations, runners: operationRunners(deps) });
    const consumer = loginConsumer(platform, outbox);
    const eraser = new OrganizationEraser({ ...platform, service: "identity", content: organizationContent });
    const partners = ownPartnerVerifier(platform);
    const provisioning = provisioningOf(platform, deps);
    return {
      services: servicesOf(deps, consumer, provisioning, partners),
      workers: [
        outbox,
        relay,
        consumer,
        new IdempotencyWorker({ database, clock, log }),
        new ExpiredDataWorker({ database, clock, log, outbox }),
        new RevocationBeatWorker({ bus, database, clock, log }),
        new SigningKeyWorker(signingKeys, log),
        mailWorker,
        unlockMailWorker,
        new SessionWorker({ database, clock, log }),
        new TwoFactorWorker(deps),
        eraser,
        new ClosingWorker({ ...platform, eraser }),
        operationWorker,
        new ProvisioningWorker({ ...provisioning, exclusive: platform.exclusive }),
      ],
      partners,
    };
  },
};

/** Maps each kind of operations to its runner. */
function operationRunners(deps: IdentityDeps): ReadonlyMap<string, OperationRunner> {
  return new Map([
    [EXPORT_KIND, exportRunner(deps)],
    [ACCOUNT_ERASURE_KIND, accountErasureRunner(deps)],
    [USER_ERASURE_KIND, userErasureRunner(deps)],
  ]);
}

function servicesOf(
  deps: IdentityDeps,
  consumer: LoginAnalyticsDeps["consumer"],
  provisioning: ProvisioningDeps,
  partners: PartnerVerifier,
): ServiceImplementation[] {
  return [
    organizationService(deps),
    apiKeyService(deps),
    credentialService(deps, partners),
    signingKeyService(deps),
    organizationDirectoryService(deps),
    sessionService(deps),
    twoFactorService(deps),
    magicLinkService(deps),
    accountService(deps),
    loginAnalyticsService({ ...deps, consumer }),
    userService(deps),
    operationService(deps),
    privacyService(deps),
    deletionRequestService(deps),
    invitationService(deps),
    provisioningService(provisioning),
  ];
}

function provisioningOf(platform: Platform, deps: IdentityDeps): ProvisioningDeps {
  return {
    ...deps,
    caller: platform.caller,
    provisionings: new ProvisioningStore(platform.ownKey("provisioning")),
    steps: provisioningSteps,
  };
}
