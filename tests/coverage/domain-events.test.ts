// Checks the types of domain events. The option `domain_event` is the only place that declares a type.
import { type DescMessage, getOption } from "@bufbuild/protobuf";
import { domain_event } from "@muster/contracts/muster/options/v1/options_pb";
import { expect, test } from "vitest";
import { allFiles } from "./all-services.ts";
import { messagesOf } from "./label-rules.ts";

const files = await allFiles();
const typesOf = (message: DescMessage): readonly string[] => getOption(message, domain_event);
const eventFiles = files.filter(({ name }) => name.endsWith("_events"));
const inEventFiles = messagesOf(eventFiles);
/** Messages that no other message of the file contains. */
const domainEvents = inEventFiles.filter(
  (message) => !inEventFiles.some(({ fields }) => fields.some((field) => field.message === message)),
);

test("the services that publish domain events have a file of domain events", () => {
  expect(eventFiles.map(({ name }) => name).sort()).toEqual([
    "muster/events/v1/events_events",
    "muster/identity/v1/identity_events",
    "muster/segments/v1/segments_events",
  ]);
});

test("every domain event has a type; add option (muster.options.v1.domain_event) to these", () => {
  expect(domainEvents.length).toBeGreaterThan(5);
  expect(domainEvents.filter((message) => typesOf(message).length === 0).map(String)).toEqual([]);
});

test("no other message has a type", () => {
  const others = messagesOf(files).filter((message) => !domainEvents.includes(message));
  expect(others.filter((message) => typesOf(message).length > 0).map(String)).toEqual([]);
});

/** "role_changed" names what was changed; "left" and "ready" do not end in "ed". */
const PAST_VERB = "(?:[a-z]+_)?(?:[a-z]+ed|left|ready)";

test("a type is muster.<service>.<noun>.<past-verb>.v1, and unique", () => {
  const types = domainEvents.flatMap(typesOf);
  expect(new Set(types).size).toBe(types.length);
  for (const message of domainEvents) {
    const service = message.file.proto.package.split(".")[1];
    for (const type of typesOf(message))
      expect(type).toMatch(new RegExp(`^muster\\.${service}\\.[a-z_]+\\.${PAST_VERB}\\.v1$`));
  }
});
