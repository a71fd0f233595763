// Lists the handlers of EventService.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { batchRecordEvents } from "./batch-record-events.ts";
import { ingestEvents } from "./ingest-events.ts";
import { listEvents } from "./list-events.ts";
import { recordEvent } from "./record-event.ts";
import { recordProfileEvent } from "./record-profile-event.ts";
import { tailEvents } from "./tail-events.ts";

/** Binds every RPC of EventService to the handler. */
export function eventService(deps: EventsDeps): ServiceImplementation {
  return implement(EventService, {
    recordEvent: recordEvent(deps),
    recordProfileEvent: recordProfileEvent(deps),
    batchRecordEvents: batchRecordEvents(deps),
    ingestEvents: ingestEvents(deps),
    listEvents: listEvents(deps),
    tailEvents: tailEvents(deps),
  });
}
