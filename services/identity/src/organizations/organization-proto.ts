// Converts organizations to messages of the contract.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Organization as OrganizationMessage,
  OrganizationSchema,
} from "@muster/contracts/muster/identity/v1/organization_pb";
import type { Organization } from "./organization.ts";

export function organizationToProto(organization: Organization): OrganizationMessage {
  const { id, name, timeZone, requiresTwoFactor, memberCount, version, deleteTimeMs } = organization;
  return create(OrganizationSchema, {
    id,
    name,
    timeZone,
    requireTwoFactor: requiresTwoFactor,
    memberCount: BigInt(memberCount),
    version: BigInt(version),
    createTime: timestampFromMs(organization.createTimeMs),
    updateTime: timestampFromMs(organization.updateTimeMs),
    ...(deleteTimeMs === undefined ? {} : { deleteTime: timestampFromMs(deleteTimeMs) }),
  });
}
