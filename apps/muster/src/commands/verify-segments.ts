// `muster verify-segments` verifies the segments of a running server against the raw events.

import { type Config, loadConfig } from "@muster/config";
import type {
  VerificationMismatch,
  VerificationProgress,
} from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";
import { bytesToUuid, isUuid, systemClock, uuidToBytes } from "@muster/core";
import { type Command, InvalidArgumentError } from "commander";
import { DataFolder } from "../platform/data-folder.ts";
import { StartError } from "../start-error.ts";
import { wholeNumber } from "./demo-data.ts";

/** The command line flags. */
interface VerifyFlags {
  readonly profiles: number;
  readonly seed?: number;
  readonly organization?: string;
  readonly address?: string;
  readonly mode?: string;
}

const EXAMPLES = `
Chooses random profiles, evaluates every segment of each from its raw events alone, and compares the results
with the stored memberships. Run the command on the server's machine, or with MUSTER_SECRET set. The exit code
is 1 if any membership differs.

Examples:
  muster verify-segments
  muster verify-segments --profiles 20000 --seed 7
  MUSTER_SEGMENTS_ADDRESS=segments:50051 muster verify-segments --mode production`;

export function addVerifySegmentsCommand(program: Command): void {
  program
    .command("verify-segments")
    .description("Verify the segments of a running server against the raw events")
    .option("--profiles <count>", "how many profiles to verify, at most 100000", wholeNumber, 1000)
    .option(
      "--seed <number>",
      "the same seed chooses the same profiles (default: from the clock)",
      wholeNumber,
    )
    .option("--organization <id>", "only this organization", organizationId)
    .option("--address <host:port>", "the gRPC address of segments (default: from the configuration)")
    .option("--mode <mode>", "embedded or production (default: MUSTER_MODE)")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: VerifyFlags) => verify(flags));
}

async function verify(flags: VerifyFlags): Promise<void> {
  const config = loadConfig({ command: "client", flags: { mode: flags.mode } });
  const { SegmentVerificationService } = await import(
    "@muster/contracts/muster/segments/v1/segment_verification_service_pb"
  );
  const { createClient, grpcCaller, withServiceToken } = await import("@muster/rpc");
  const { serviceTokens } = await import("../server/build-services.ts");
  const tokens = serviceTokens("operator", await secretOf(config), systemClock);
  const caller = grpcCaller({ address: flags.address ?? addressOf(config) });
  const seed = flags.seed ?? systemClock.nowMs() % 2 ** 31;
  try {
    const responses = createClient(
      SegmentVerificationService,
      withServiceToken(caller, tokens),
    ).verifySegments({
      profiles: flags.profiles,
      seed: BigInt(seed),
      organizationId: flags.organization === undefined ? new Uint8Array() : uuidToBytes(flags.organization),
    });
    let last: VerificationProgress | undefined;
    for await (const { part } of responses) {
      if (part.case === "mismatch") process.stdout.write(`${describe(part.value)}\n`);
      if (part.case === "progress") last = showProgress(part.value);
    }
    if (last?.done !== true)
      throw new StartError(
        "The verification ended early: the server closed the stream. Run the command again.",
      );
    process.stdout.write(
      `${last.checked} of ${last.known} profiles, ${last.memberships} memberships: ` +
        `${last.mismatches} mismatches, ${last.inconclusive} inconclusive${limitsText(last)} (seed ${seed})\n`,
    );
    if (last.mismatches > 0n) process.exitCode = 1;
  } finally {
    caller.close();
  }
}

/** Printed only if retention has removed raw events, or if segments are limited. */
function limitsText({ beyondRetention, limited }: VerificationProgress): string {
  const beyondText = beyondRetention === 0n ? "" : `, ${beyondRetention} beyond retention`;
  return limited === 0n ? beyondText : `${beyondText}, ${limited} limited`;
}

function showProgress(progress: VerificationProgress): VerificationProgress {
  const { checked, chosen, mismatches } = progress;
  if (process.stderr.isTTY) {
    process.stderr.write(
      `\r${checked} of ${chosen} profiles, ${mismatches} mismatches${progress.done ? "\n" : ""}`,
    );
  }
  return progress;
}

function describe(mismatch: VerificationMismatch): string {
  const { slug, evaluatedMs, byEvents, byFacts, byState, byMembers } = mismatch;
  const describeSource = (name: string, member: boolean): string => `${name} ${member ? "in" : "out"}`;
  return [
    `MISMATCH organization ${bytesToUuid(mismatch.organizationId)} profile ${bytesToUuid(mismatch.profileId)}`,
    `segment ${slug} (${bytesToUuid(mismatch.segmentId)}) at ${new Date(Number(evaluatedMs)).toISOString()}:`,
    [
      describeSource("events", byEvents),
      describeSource("facts", byFacts),
      describeSource("state", byState),
      describeSource("members", byMembers),
    ].join(", "),
  ].join(" ");
}

/** The installation's key, from the configuration or the data folder. */
async function secretOf(config: Config): Promise<Uint8Array> {
  if (config.secret !== undefined) return config.secret;
  if (config.mode === "production") throw new StartError("Set MUSTER_SECRET: it signs the call.");
  const stored = await DataFolder.at(config.dataDir).storedSecret();
  if (stored === undefined)
    throw new StartError(`No server has run in ${config.dataDir} yet (MUSTER_DATA_DIR).`);
  return stored;
}

function addressOf({ mode, grpcHost, grpcPort, segmentsAddress }: Config): string {
  if (mode === "production") {
    if (segmentsAddress === undefined) throw new StartError("Give --address or MUSTER_SEGMENTS_ADDRESS.");
    return segmentsAddress;
  }
  return `${grpcHost === "0.0.0.0" ? "127.0.0.1" : grpcHost}:${grpcPort}`;
}

function organizationId(text: string): string {
  if (!isUuid(text)) throw new InvalidArgumentError("Give the id of an organization.");
  return text;
}
