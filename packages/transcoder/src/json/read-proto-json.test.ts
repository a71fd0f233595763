// Tests the reading of ProtoJSON against REST and against @bufbuild/protobuf.
import {
  create,
  type DescMessage,
  fromJsonString,
  type MessageInitShape,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  type RecordEventRequest,
  RecordEventRequestSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  CreateEventTypeRequestSchema,
  ListEventTypesRequestSchema,
} from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import { expect, test } from "vitest";
import { readProtoJson } from "./read-proto-json.ts";

const read = (desc: DescMessage, text: string, ignoreUnknown = false) =>
  readProtoJson(desc, Buffer.from(text), { ignoreUnknown });

function expectReadBack<Desc extends DescMessage>(desc: Desc, init: MessageInitShape<Desc>): void {
  const message = create(desc, init);
  expect(read(desc, toJsonString(desc, message))).toEqual(message);
}

test("what generated clients write is read", () => {
  expectReadBack(RecordEventRequestSchema, {
    event: {
      identity: { case: "userId", value: "13" },
      name: "é",
      properties: '{"price":1.10,"a":[1e2]}',
      timestamp: { seconds: 1_700_000_000n, nanos: 5_000_000 },
    },
  });
  expectReadBack(CreateEventTypeRequestSchema, { name: "LOGIN", price: 1.5 });
  expectReadBack(RuleSchema, {
    kind: {
      case: "performed",
      value: {
        eventName: "a",
        count: { condition: { case: "atLeast", value: 3 } },
        window: { window: { case: "last", value: { seconds: 5n, nanos: 1_000_000 } } },
      },
    },
  });
});

test("properties are a string, as generated clients write them", () => {
  const message = read(
    RecordEventRequestSchema,
    '{"event":{"properties":"{\\"a\\":1}"}}',
  ) as RecordEventRequest;
  expect(message.event?.properties).toBe('{"a":1}');
  expect(() => read(RecordEventRequestSchema, '{"event":{"properties":{}}}')).toThrow("must be a string");
});

test("names are read in both spellings, but not in both at once", () => {
  const text = '{"page_size":5,"pageToken":"a"}';
  expect(read(ListEventTypesRequestSchema, text)).toEqual(fromJsonString(ListEventTypesRequestSchema, text));
  expect(() => read(ListEventTypesRequestSchema, '{"page_size":5,"pageSize":5}')).toThrow("is given twice");
});

test("unknown fields are refused, or skipped on request", () => {
  expect(() => read(ListEventTypesRequestSchema, '{"new":1}')).toThrow("is not a known field");
  expect(read(ListEventTypesRequestSchema, '{"new":1}', true)).toEqual(create(ListEventTypesRequestSchema));
});

test.each([
  ["[]", "The body must be an object."],
  ["{", "The body is not valid JSON"],
  ['{"pageSize":"5 "}', "must be an integer"],
  ['{"pageSize":5,"pageSize":5}', "is given twice"],
])("%s is refused", (text, message) => {
  expect(() => read(ListEventTypesRequestSchema, text)).toThrow(message);
});

test("bytes that are not UTF-8 are refused", () => {
  const bytes = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
  expect(() => readProtoJson(ListEventTypesRequestSchema, bytes, { ignoreUnknown: true })).toThrow("UTF-8");
});
