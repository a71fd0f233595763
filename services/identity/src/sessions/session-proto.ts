// Converts sessions to messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SessionSchema } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { SessionId } from "@muster/core";
import type { Session } from "./session.ts";

export function sessionToProto(
  session: Session,
  currentId: SessionId,
): MessageInitShape<typeof SessionSchema> {
  return {
    id: session.id,
    current: session.id === currentId,
    client: session.client,
    clientAddress: session.clientAddress,
    createTime: timestampFromMs(session.createTimeMs),
    lastUsedTime: timestampFromMs(session.lastUsedTimeMs),
  };
}
