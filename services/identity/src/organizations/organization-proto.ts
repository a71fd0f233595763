// Converts organizations to messages of the contract.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Organization as OrganizationMessage,
  OrganizationSchema,
} from "@muster/contracts/muster/identity/v1/organization_pb";
import type { Organization } from "./organization.ts";

export function organizationToProto({ id, name, createTimeMs, timeZone }: Organization): OrganizationMessage {
  return create(OrganizationSchema, { id, name, createTime: timestampFromMs(createTimeMs), timeZone });
}
