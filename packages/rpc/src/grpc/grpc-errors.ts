// Converts between AppError and grpc-js statuses.
import { status as GrpcStatus, Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { AppError } from "@muster/errors";
import { IDEMPOTENCY_REPLAYED, RETRY_AFTER, retryAfterSeconds } from "../metadata.ts";
import { boundError, errorFromCode, errorFromStatusBytes } from "../status-proto.ts";

const DETAILS = "grpc-status-details-bin";
/** Limit of grpc-message, percent-encoded; the details hold the whole text. */
const GRPC_MESSAGE_BYTES_MAX = 1024;

/** The status that a grpc-js handler returns or emits. */
export function toGrpcStatus(error: AppError): StatusObject {
  const { message, statusBytes } = boundError(error);
  const metadata = new Metadata();
  metadata.set(DETAILS, Buffer.from(statusBytes));
  if (error.retryAfterMs !== undefined) metadata.set(RETRY_AFTER, retryAfterSeconds(error.retryAfterMs));
  if (error.replayed) metadata.set(IDEMPOTENCY_REPLAYED, "true");
  return { code: error.code, details: clipEncoded(message), metadata };
}

function clipEncoded(message: string): string {
  let text = message;
  while (encodeURI(text).length > GRPC_MESSAGE_BYTES_MAX) {
    text = text.slice(0, Math.floor(text.length / 2)).toWellFormed();
  }
  return text;
}

/** Any rejection of grpc-js, as an AppError. */
export function fromGrpcError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return isServiceError(error) ? fromGrpcStatus(error) : new AppError("INTERNAL", { cause: error });
}

/** A status other than OK, as an AppError. */
export function fromGrpcStatus(status: StatusObject | ServiceError): AppError {
  const { code, details, metadata } = status;
  const cause = status instanceof Error ? status : new Error(`${code}: ${details}`);
  const [bytes] = metadata?.get(DETAILS) ?? [];
  const replayed = (metadata?.get(IDEMPOTENCY_REPLAYED).length ?? 0) > 0;
  const known = Buffer.isBuffer(bytes) ? errorFromStatusBytes(bytes, { replayed }) : undefined;
  return known ?? errorFromCode(code, details, cause);
}

/** Whether the peer itself ended the call with an error of Muster, as opposed to a library or a lost connection. */
export function hasDetails({ metadata }: StatusObject): boolean {
  return metadata.get(DETAILS).length > 0;
}

function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error && "code" in error && typeof error.code === "number" && error.code in GrpcStatus
  );
}
