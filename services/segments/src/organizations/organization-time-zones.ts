// Reads an organization's time zone, the default of calendar days in rules.
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import type { Rule } from "@muster/contracts/muster/segments/v1/rule_pb";
import { type Clock, type OrganizationId, uuidToBytes } from "@muster/core";
import { type Caller, type Client, createClient } from "@muster/rpc";

const REQUEST_TIMEOUT_MS = 5000;
const UTC = "UTC";

export class OrganizationTimeZones {
  readonly #client: Client<typeof OrganizationDirectoryService>;
  readonly #clock: Clock;

  constructor(identity: Caller, clock: Clock) {
    this.#client = createClient(OrganizationDirectoryService, identity);
    this.#clock = clock;
  }

  /**
   * Calls the identity service only if the rule needs it, so that other rules can be saved while identity is
   * down.
   */
  async for(organizationId: OrganizationId, rule: Rule | undefined): Promise<string> {
    if (rule === undefined || !lacksTimeZone(rule)) return UTC;
    const { organization } = await this.#client.getOrganization(
      { organizationId: uuidToBytes(organizationId) },
      { deadlineMs: this.#clock.nowMs() + REQUEST_TIMEOUT_MS },
    );
    return organization?.timeZone ?? UTC;
  }
}

function lacksTimeZone({ kind }: Rule): boolean {
  switch (kind.case) {
    case "all":
    case "any":
      return kind.value.rules.some(lacksTimeZone);
    case "not":
      return lacksTimeZone(kind.value);
    case "activeDays":
      return kind.value.timeZone === "";
    case "performed":
    case "sequence":
    case "aggregate": {
      const window = kind.value.window?.window;
      return window?.case === "calendarDays" && window.value.timeZone === "";
    }
    default:
      return false;
  }
}
