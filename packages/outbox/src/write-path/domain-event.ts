// Encodes domain events of resources as messages of the outbox.
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { shardOf } from "@muster/core";
import { domainEventType } from "../domain-event-type.ts";
import type { OutboxDraft } from "../ports/ports.ts";

/** A change of one resource of an organization. Events of one resource are in order. */
export interface DomainEvent {
  readonly organizationId: string;
  /** UUID of the resource, which decides the shard together with the organization. */
  readonly resourceId: string;
  readonly type: string;
  readonly data: Uint8Array;
}

/** The past verb of the type is needed for messages that are published under several types. */
export function domainEvent<D extends DescMessage>(
  schema: D,
  { organizationId, resourceId, verb }: DomainEventKey,
  content: MessageInitShape<D>,
): DomainEvent {
  return {
    organizationId,
    resourceId,
    type: domainEventType(schema, verb),
    data: toBinary(schema, create(schema, content)),
  };
}

interface DomainEventKey {
  readonly organizationId: string;
  readonly resourceId: string;
  readonly verb?: string;
}

export function draftOf(event: DomainEvent, traceParent: string): OutboxDraft {
  const { organizationId, resourceId, type, data } = event;
  return { shard: shardOf(organizationId, resourceId), type, data, items: 0, traceParent };
}
