// Tests that the admission receives the user of the path, for methods that users need no permission for on their own row.
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { AppError } from "@muster/errors";
import { expect, test } from "vitest";
import { Transcoder } from "./transcoder.ts";

const transcoder = new Transcoder({
  services: [UserService],
  caller: () => {
    throw new Error("no call is admitted here");
  },
});

/** The user that the admission receives, before the body is read. */
async function admittedUser(method: string, url: string): Promise<string | undefined> {
  let received: string | undefined;
  const body = async (): Promise<Uint8Array> => {
    throw new Error("the body was read");
  };
  const { status } = await transcoder.handle(
    { method, url, headers: new Map(), body },
    {
      requestId: "r",
      signal: new AbortController().signal,
      admit: async (_method, userId) => {
        received = userId;
        throw new AppError("PERMISSION_DENIED");
      },
    },
  );
  expect(status).toBe(403);
  return received;
}

test("the admission receives the decoded user of the path", async () => {
  expect(await admittedUser("PATCH", "/v1/users/ada")).toBe("ada");
  expect(await admittedUser("PATCH", "/v1/users/ad%61")).toBe("ada");
});

test("methods without a self_field have no such user", async () => {
  expect(await admittedUser("DELETE", "/v1/users/ada")).toBeUndefined();
  expect(await admittedUser("POST", "/v1/users/ada:suspend")).toBeUndefined();
});
