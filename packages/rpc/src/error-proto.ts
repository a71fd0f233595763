// Converts the error of an item inside a response that succeeds as a whole.
import { create } from "@bufbuild/protobuf";
import { type Error as ErrorMessage, ErrorSchema } from "@muster/contracts/muster/errors/v1/error_pb";
import type { AppError } from "@muster/errors";

/** Field paths are relative to the item. */
export function errorToProto(error: AppError): ErrorMessage {
  return create(ErrorSchema, {
    code: error.codeName,
    reason: error.reason,
    message: error.message,
    fields: error.fields.map(({ field, message }) => ({ field, message })),
  });
}
