// Tests that a further approval restarts an erasure that was given up, and that the receipt keeps the earlier counts.
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { shardOf, uuidToBytes } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrivacyUnderTest } from "./privacy-under-test.ts";

const { createDeletionRequest, listDeletionRequests, approveDeletionRequest } = DeletionRequestService.method;
const { getOperation } = OperationService.method;

describe.each(ENGINES)("an erasure that was given up on %s", (engine) => {
  let identity: PrivacyUnderTest;

  beforeAll(async () => {
    identity = await PrivacyUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  test("is restarted by a further approval, and completes the receipt", async () => {
    const acme = await identity.organization();
    const owner = await identity.member(acme, "owner");
    const other = await identity.member(acme, "owner");
    const ada = await identity.member(acme);
    await identity.join(ada.userId, await identity.organization(), "member", "Ada");
    await identity.addSessions(ada.userId, acme, ["Browser", "Phone"]);
    const shard = shardOf(acme, ada.userId);
    // A position without a message, so that the erasure waits for the consumer of logins.
    await identity.database.transaction((trx) =>
      trx("shard_positions").where({ shard }).increment("position", 1_000),
    );
    const request = await identity.call(createDeletionRequest, { userId: ada.userId }, owner.as);
    const deletionRequestId = request.deletionRequest?.id ?? "";
    const approve = () => identity.call(approveDeletionRequest, { deletionRequestId }, other.as);
    await approve();
    const where = { id: uuidToBytes(deletionRequestId) };
    await waitFor(async () => {
      const [row] = await identity.database.reader("operations").where(where);
      return row?.state === 1 && row.fencing_token > 0;
    });
    // The next lease is the last one.
    await waitFor(async () => {
      // A lease would end in a minute; a change of its token would only end it earlier.
      const soonMs = identity.clock.nowMs() + 10_000;
      await identity.database.transaction((trx) =>
        trx("operations").where(where).andWhere("due_time_ms", "<", soonMs).update({ fencing_token: 999 }),
      );
      await identity.clock.advance(1_000);
      return (await stateOf()) === OperationState.FAILED;
    });
    const [{ position }] = await identity.database.reader("shard_positions").where({ shard });
    await identity.database.transaction((trx) => trx("shard_cursors").where({ shard }).update({ position }));

    const ofRequester = identity.call(approveDeletionRequest, { deletionRequestId }, owner.as);
    await expectReason(ofRequester, "SELF_APPROVAL");
    expect(await stateOf()).toBe(OperationState.FAILED);
    const { operation } = await approve();
    expect(operation).toMatchObject({ id: deletionRequestId, state: OperationState.PENDING });
    await waitFor(async () => {
      await identity.clock.advance(1_000);
      return (await stateOf()) === OperationState.SUCCEEDED;
    });
    const { deletionRequests } = await identity.call(listDeletionRequests, {}, owner.as);
    const [receipt] = deletionRequests;
    expect(receipt?.completeTime).toBeDefined();
    const counts = Object.fromEntries(
      receipt?.locations.map(({ location, count }) => [location, count]) ?? [],
    );
    expect(counts).toMatchObject({ "identity.memberships": 1n, "identity.sessions": 2n });
    // A complete erasure does not begin again.
    expect((await approve()).operation?.state).toBe(OperationState.SUCCEEDED);

    async function stateOf(): Promise<OperationState | undefined> {
      const read = await identity.call(getOperation, { operationId: deletionRequestId }, other.as);
      return read.operation?.state;
    }
  });
});
