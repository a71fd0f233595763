// Selects the published events of a tail: by organization, event names and profile.
import type { TailEventsRequest } from "@muster/contracts/muster/events/v1/event_service_pb";
import type { AnnouncedEvent } from "@muster/contracts/muster/events/v1/events_events_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { AppError } from "@muster/errors";
import type { TailItem } from "../domain-events/domain-events.ts";
import { linkedProfileIds, rootOf } from "../identity-graph/links-store.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";

/** Filters the items of one tail. A filter with a profile follows the merges of the profile. */
export class TailFilter {
  readonly #db: Queryable;
  readonly #organizationId: OrganizationId;
  readonly #organization: Buffer;
  readonly #names: ReadonlySet<string> | undefined;
  readonly #profileId: ProfileId | undefined;
  /** All linked profiles, because older messages contain a former root profile. */
  #profiles: ReadonlySet<string> = new Set();

  private constructor(db: Queryable, organizationId: OrganizationId, request: TailEventsRequest) {
    this.#db = db;
    this.#organizationId = organizationId;
    this.#organization = uuidToBytes(organizationId);
    this.#names = request.names.length > 0 ? new Set(request.names) : undefined;
    this.#profileId = request.profileId === undefined ? undefined : requireProfileId(request.profileId);
  }

  static async open(
    db: Queryable,
    organizationId: OrganizationId,
    request: TailEventsRequest,
  ): Promise<TailFilter> {
    const filter = new TailFilter(db, organizationId, request);
    if (!(await filter.#refreshProfiles())) throw new AppError("PROFILE_NOT_FOUND");
    return filter;
  }

  /**
   * Returns the event if it matches. A merge refreshes the profile ids, because later events have a new root.
   */
  async accept(item: TailItem): Promise<AnnouncedEvent | undefined> {
    if (!this.#organization.equals(item.organizationId)) return undefined;
    if (item.$typeName !== "muster.events.v1.AnnouncedEvent") {
      await this.#refreshProfiles();
      return undefined;
    }
    if (this.#names !== undefined && !this.#names.has(item.name)) return undefined;
    const isOther = this.#profileId !== undefined && !this.#profiles.has(bytesToUuid(item.profileId));
    return isOther ? undefined : item;
  }

  /** Reloads the linked profiles; false if the requested profile does not exist. */
  async #refreshProfiles(): Promise<boolean> {
    if (this.#profileId === undefined) return true;
    const rootId = await rootOf(this.#db, this.#organizationId, this.#profileId);
    if (rootId === undefined) return false;
    this.#profiles = new Set(await linkedProfileIds(this.#db, this.#organizationId, rootId));
    return true;
  }
}
