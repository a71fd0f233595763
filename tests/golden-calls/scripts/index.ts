// The scripts in the order in which they run: the feed first, for its positions are those of the whole outbox.
import { accountScripts } from "./accounts.ts";
import { alertScripts } from "./alerts.ts";
import { behaviorScripts } from "./behavior.ts";
import { eventScripts } from "./events.ts";
import { eventsFeedScripts } from "./events-feed.ts";
import { identityScripts } from "./identity.ts";
import { invitationScripts } from "./invitations.ts";
import { loginAnalyticsScripts } from "./login-analytics.ts";
import { operationScripts } from "./operations.ts";
import { organizationErasureScripts } from "./organization-erasure.ts";
import { privacyScripts } from "./privacy.ts";
import { profileScripts } from "./profiles.ts";
import { provisioningScripts } from "./provisioning.ts";
import type { Script } from "./script.ts";
import { secondFactorScripts } from "./second-factors.ts";
import { segmentScripts } from "./segments.ts";
import { segmentInternalScripts } from "./segments-internal.ts";
import { sessionScripts } from "./sessions.ts";
import { trackingScripts } from "./tracking.ts";
import { userScripts } from "./users.ts";

export const scripts: readonly Script[] = [
  ...eventsFeedScripts,
  ...profileScripts,
  ...eventScripts,
  ...trackingScripts,
  ...behaviorScripts,
  ...alertScripts,
  ...privacyScripts,
  ...segmentScripts,
  ...segmentInternalScripts,
  ...identityScripts,
  ...accountScripts,
  ...sessionScripts,
  ...secondFactorScripts,
  ...userScripts,
  ...operationScripts,
  ...loginAnalyticsScripts,
  ...invitationScripts,
  ...organizationErasureScripts,
  ...provisioningScripts,
];
