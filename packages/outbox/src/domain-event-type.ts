// Reads the types of domain events from the option `domain_event` of their messages.
import { type DescMessage, getOption } from "@bufbuild/protobuf";
import { domain_event } from "@muster/contracts/muster/options/v1/options_pb";
import { assert } from "@muster/core";

/**
 * Returns the CloudEvents type of a domain event. A message that is published under several types needs the past
 * verb of the type, for example "entered".
 */
export function domainEventType(schema: DescMessage, verb?: string): string {
  const types = getOption(schema, domain_event).filter(
    (type) => verb === undefined || type.split(".").at(-2) === verb,
  );
  const [type] = types;
  assert(
    type !== undefined && types.length === 1,
    `${schema.typeName} needs exactly one domain_event${verb === undefined ? "" : ` with the verb ${verb}`}`,
  );
  return type;
}
