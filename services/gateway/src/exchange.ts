// Declares a request and its response, and whose share of the budgets the exchange takes.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Principal } from "@muster/authz";
import { AppError } from "@muster/errors";
import type { OpenCall } from "@muster/rpc";
import type { AccessLog } from "./access-log.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly method: string;
  readonly finish: ReturnType<AccessLog["begin"]>;
  readonly call: OpenCall;
  /** The caller's share of the budgets; empty until the caller is known. */
  owner: string;
}

/** Callers of one organization share the budgets. */
export function ownerOf(caller: Principal | undefined): string {
  return caller?.organizationId ?? caller?.id ?? "";
}

export function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

export class MethodNotAllowed extends AppError {
  readonly allow: string;

  constructor(allow: string) {
    super("METHOD_NOT_ALLOWED");
    this.allow = allow;
  }
}
