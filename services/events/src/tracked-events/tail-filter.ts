// Which of the announcements a tail tells: its organisation's events, of the names and the person asked for.
import type { TailEventsRequest } from "@muster/contracts/muster/events/v1/event_service_pb";
import type {
  AnnouncedEvent,
  ProfileMerged,
  ProfileUnmerged,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { AppError } from "@muster/errors";
import { linkedProfileIds, rootOf } from "../people/links-store.ts";
import { requireProfileId } from "../profiles/profile-proto.ts";

/** What tails read of the announcements: events, and who becomes who. */
export type TailItem = AnnouncedEvent | ProfileMerged | ProfileUnmerged;

export class TailFilter {
  readonly #db: Queryable;
  readonly #organizationId: OrganizationId;
  readonly #organization: Buffer;
  readonly #names: ReadonlySet<string> | undefined;
  readonly #profileId: ProfileId | undefined;
  /** All of the person, for older messages name whoever stood for them then. */
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
    if (!(await filter.#look())) throw new AppError("PROFILE_NOT_FOUND");
    return filter;
  }

  /** The event, if it is to be told. Takes note of merges: what follows them is announced for another profile. */
  async take(item: TailItem): Promise<AnnouncedEvent | undefined> {
    if (!this.#organization.equals(item.organizationId)) return undefined;
    if (item.$typeName !== "muster.events.v1.AnnouncedEvent") {
      await this.#look();
      return undefined;
    }
    if (this.#names !== undefined && !this.#names.has(item.name)) return undefined;
    const isOther = this.#profileId !== undefined && !this.#profiles.has(bytesToUuid(item.profileId));
    return isOther ? undefined : item;
  }

  /** Whether the person asked for is there. */
  async #look(): Promise<boolean> {
    if (this.#profileId === undefined) return true;
    const rootId = await rootOf(this.#db, this.#organizationId, this.#profileId);
    if (rootId === undefined) return false;
    this.#profiles = new Set(await linkedProfileIds(this.#db, this.#organizationId, rootId));
    return true;
  }
}
