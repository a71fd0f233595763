// A script calls the methods of one service, with other services' methods where it needs them.
import type { DescService } from "@bufbuild/protobuf";
import type { Recorder } from "../harness/recorder.ts";

export interface Script {
  readonly service: DescService;
  readonly run: (calls: Recorder) => Promise<void>;
}

export const UNKNOWN_ID = "01900000-0000-7000-8000-00000000dead";

/** An instant so many seconds before now. */
export function secondsAgo(calls: Recorder, seconds: number) {
  const ms = calls.nowMs - seconds * 1000;
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
