// AppError as a ConnectError and back, with the google.rpc details in Connect's own form.
import { ConnectError } from "@connectrpc/connect";
import { AppError } from "@muster/errors";
import { IDEMPOTENCY_REPLAYED, RETRY_AFTER, retryAfterSeconds } from "../metadata.ts";
import { boundError, errorFromCode, errorFromDetails, type FindDetail } from "../status-proto.ts";

export function toConnectError(error: AppError, code: number = error.code): ConnectError {
  const metadata = new Headers();
  if (error.retryAfterMs !== undefined) metadata.set(RETRY_AFTER, retryAfterSeconds(error.retryAfterMs));
  if (error.replayed) metadata.set(IDEMPOTENCY_REPLAYED, "true");
  const { message, details } = boundError(error);
  return new ConnectError(message, code, metadata, [...details]);
}

/** Whatever a Connect client rejects with, as an AppError. */
export function fromConnectError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const connectError = ConnectError.from(error);
  const find: FindDetail = (desc) => connectError.findDetails(desc)[0];
  return (
    errorFromDetails({ code: connectError.code, message: connectError.rawMessage }, find, {
      cause: error,
      replayed: connectError.metadata.has(IDEMPOTENCY_REPLAYED),
    }) ?? errorFromCode(connectError.code, connectError.rawMessage, error)
  );
}
