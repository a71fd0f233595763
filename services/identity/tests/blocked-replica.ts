// A process that verifies tokens for its parent, and whose event loop is blocked most of the time.
import { ServiceTokens } from "@muster/authz";
import { systemClock } from "@muster/core";
import { openReplica } from "./revocation-harness.ts";

const BLOCKED_MS = 1_500;
const RUNNING_MS = 150;

export interface Verdict {
  readonly token: string;
  readonly isAccepted: boolean;
  /** Of the monotonic clock, which all processes of a machine share. */
  readonly timeMs: number;
}

const [natsUrl = "", address = "", tokenKey = ""] = process.argv.slice(2);
const tokens = new ServiceTokens({
  service: "events",
  key: Buffer.from(tokenKey, "hex"),
  clock: systemClock,
});
const { verifier } = await openReplica(natsUrl, address, tokens, "events-blocked");

process.on("message", (token: string) => {
  verifier.verify(token).then(
    (principal) => respond(token, principal !== undefined),
    () => respond(token, false),
  );
});
process.on("disconnect", () => process.exit(0));

function respond(token: string, isAccepted: boolean): void {
  const verdict: Verdict = { token, isAccepted, timeMs: Number(process.hrtime.bigint()) / 1e6 };
  process.send?.(verdict);
}

function block(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS);
  setTimeout(block, RUNNING_MS);
}

process.send?.("ready");
setTimeout(block, RUNNING_MS);
