// The events service's composition root: the only file that constructs its parts.
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import { PageTokens } from "@muster/core";
import { IdempotencySweeper } from "@muster/idempotency";
import { Outbox, OutboxRelay, OutboxTail } from "@muster/outbox";
import { implement } from "@muster/rpc";
import type { ModuleDefinition } from "@muster/runtime";
import type { EventsDeps } from "./deps.ts";
import { eventsOf } from "./domain-events.ts";
import {
  batchGetProfiles,
  batchResolveProfiles,
  getPositions,
  readOutbox,
  reportErasure,
  reportFolded,
  sampleProfiles,
} from "./feed/event-feed.ts";
import { scanProfileEvents } from "./feed/scan-profile-events.ts";
import { IngestQueue } from "./ingest/ingest-queue.ts";
import { mergeProfile } from "./people/merge-profile.ts";
import { unmergeProfile } from "./people/unmerge-profile.ts";
import { createProfile } from "./profiles/create-profile.ts";
import { getProfile } from "./profiles/get-profile.ts";
import { listProfiles } from "./profiles/list-profiles.ts";
import { RisingIds } from "./profiles/profile-ids.ts";
import { updateProfile } from "./profiles/update-profile.ts";
import { getRetention } from "./retention/get-retention.ts";
import { RetentionWorker } from "./retention/retention-worker.ts";
import { updateRetention } from "./retention/update-retention.ts";
import { batchRecordEvents } from "./tracked-events/batch-record-events.ts";
import { ingestEvents } from "./tracked-events/ingest-events.ts";
import { listEvents } from "./tracked-events/list-events.ts";
import { recordEvent, recordProfileEvent } from "./tracked-events/record-event.ts";
import { tailEvents } from "./tracked-events/tail-events.ts";

export const eventsModule: ModuleDefinition = {
  name: "events",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform) {
    const { clock, ids, database, log } = platform;
    const outbox = new Outbox({ ...platform, service: "events" });
    const relay = new OutboxRelay({ ...platform, service: "events", outbox });
    const { backlogItemsMax } = platform.settings;
    const profileIds = new RisingIds(ids);
    const ingest = new IngestQueue({ ...platform, profileIds, outbox, steps: [], backlogItemsMax });
    const tails = new OutboxTail({
      ...{ ...platform, outbox, decode: eventsOf },
      gauge: { name: "muster_tails", help: "Live tails attached to this process." },
    });
    const pageTokens = new PageTokens(platform.key("page-tokens"));
    const deps: EventsDeps = { clock, ids, profileIds, database, outbox, ingest, tails, pageTokens };
    const retention = new RetentionWorker(platform);
    return {
      services: [
        implement(ProfileService, {
          createProfile: createProfile(deps),
          getProfile: getProfile(deps),
          listProfiles: listProfiles(deps),
          updateProfile: updateProfile(deps),
          mergeProfile: mergeProfile(deps),
          unmergeProfile: unmergeProfile(deps),
        }),
        implement(EventService, {
          recordEvent: recordEvent(deps),
          recordProfileEvent: recordProfileEvent(deps),
          batchRecordEvents: batchRecordEvents(deps),
          ingestEvents: ingestEvents(deps),
          listEvents: listEvents(deps),
          tailEvents: tailEvents(deps),
        }),
        implement(RetentionService, {
          getRetention: getRetention(deps),
          updateRetention: updateRetention(deps, platform.caller("segments"), () => retention.look()),
        }),
        implement(EventFeedService, {
          getPositions: getPositions(deps),
          readOutbox: readOutbox(deps),
          reportFolded: reportFolded(deps),
          scanProfileEvents: scanProfileEvents(deps),
          batchGetProfiles: batchGetProfiles(deps),
          batchResolveProfiles: batchResolveProfiles(deps),
          sampleProfiles: sampleProfiles(deps),
          reportErasure: reportErasure(deps),
        }),
      ],
      // Started in this order and stopped in reverse: what is still queued is committed and announced.
      workers: [outbox, relay, ingest, retention, new IdempotencySweeper({ database, clock, log })],
    };
  },
};
