/** HTTPS outcalls of an instance: those that wait, and answers made up by a test. */
import { principalToText } from "@orrery/base";
import type { Instance, OutcallAnswer, PendingOutcall } from "@orrery/sim/instance";
import { aboutSubnet, base64, isRejectCode } from "./calls.ts";
import type { Encodable } from "./json.ts";
import { mapping, PicError, subnetNotFound } from "./pic-errors.ts";
import { bytes, index, list, optional, readBody, record, string, u16, u64, variant } from "./shapes.ts";

function outcallJson(outcall: PendingOutcall): Encodable {
  const { subnetId, id, method, url, headers, body, maxResponseBytes } = outcall;
  return {
    subnet_id: { subnet_id: base64(subnetId) },
    request_id: id,
    http_method: method,
    url,
    headers: headers.map(({ name, value }) => ({ name, value })),
    body: base64(body ?? new Uint8Array(0)),
    max_response_bytes: maxResponseBytes,
  };
}

export function pendingOutcallsJson(instance: Instance): Encodable {
  return instance.pendingOutcalls().map(outcallJson);
}

const header = record({ name: string, value: string });
const response = variant({
  CanisterHttpReply: record({ status: u16, headers: list(header), body: bytes }),
  CanisterHttpReject: record({ reject_code: u64, message: string }),
});

/** `RawMockCanisterHttpResponse`. */
const outcallMock = record({
  subnet_id: aboutSubnet,
  request_id: index,
  response,
  additional_responses: optional(list(response)),
});

function answerOf(read: ReturnType<typeof response>): OutcallAnswer {
  if (read.kind === "CanisterHttpReply") return { kind: "response", ...read.value };
  const { reject_code: code, message } = read.value;
  if (!isRejectCode(code)) throw new PicError(`InvalidRejectCode(${code})`);
  return {
    kind: "reject",
    code: Number(code) as Extract<OutcallAnswer, { kind: "reject" }>["code"],
    message,
  };
}

/** Answers the outcall that the body names for the next round of its subnet. */
export function mockOutcall(instance: Instance, body: Uint8Array): void {
  const mock = readBody(body, outcallMock);
  const { subnet_id: subnetId, request_id: id, additional_responses: additional } = mock;
  const answers = [...(additional ?? []), mock.response].map(answerOf);
  const subnet = instance
    .topology()
    .subnets.find((one) => principalToText(one.id) === principalToText(subnetId));
  if (subnet === undefined) throw subnetNotFound(subnetId);
  mapping(
    {
      outcall_unknown: () =>
        new PicError(`InvalidCanisterHttpRequestId((${principalToText(subnetId)}, CallbackId(${id})))`),
      outcall_answers: () =>
        new PicError(`InvalidMockCanisterHttpResponses((${answers.length}, ${subnet.size}))`),
    },
    () => instance.mockOutcall(subnetId, id, answers),
  );
}
