/** Starts a network in this page, deploys a counter to it and calls it. */
import { createNetwork } from "ic-orrery/browser";

const element = (id) => document.getElementById(id);
const HOUR_MS = 3_600_000;
const NS_PER_MS = 1_000_000n;
/** `DIDL`, no types, one argument, of type nat. */
const NAT_HEADER = [0x44, 0x49, 0x44, 0x4c, 0, 1, 0x7d];

let canisterId = null;
const network = await createNetwork();
// For whoever wants to try more in the console.
globalThis.network = network;

/** One natural number in Candid: a LEB128 number behind its header. */
function nat(reply) {
  if (NAT_HEADER.some((byte, index) => reply[index] !== byte)) throw new Error("the answer is not a nat");
  return reply
    .subarray(NAT_HEADER.length)
    .reduceRight((number, byte) => number * 128n + BigInt(byte & 127), 0n);
}

function show() {
  element("time").textContent = new Date(Number(network.time() / NS_PER_MS)).toISOString();
  if (canisterId === null) return;
  element("canister").textContent = canisterId;
  element("cycles").textContent = network.cycles(canisterId).toLocaleString("en");
}

/** What a control does, with its failure shown. */
function on(id, event, action) {
  element(id).addEventListener(event, async () => {
    element("error").textContent = "";
    try {
      await action();
    } catch (error) {
      element("error").textContent = error.message;
    }
    show();
  });
}

function deploy(wasm) {
  const id = network.createCanister();
  network.install({ canisterId: id, wasm: new Uint8Array(wasm) });
  canisterId = id;
  element("answer").textContent = "none yet";
  for (const button of document.querySelectorAll("button.call")) button.disabled = false;
}

on("deploy", "click", async () => {
  const response = await fetch("./counter.wasm.gz");
  if (!response.ok) throw new Error("there is no counter.wasm.gz beside this page: choose a module instead");
  deploy(await response.arrayBuffer());
});
on("file", "change", async () => {
  const [file] = element("file").files;
  if (file !== undefined) deploy(await file.arrayBuffer());
});
on("inc", "click", () => {
  element("answer").textContent = String(nat(network.update({ canisterId, method: "inc" })));
});
on("get", "click", () => {
  element("answer").textContent = String(nat(network.query({ canisterId, method: "get" })));
});
on("hour", "click", () => network.advanceTime(HOUR_MS));

element("deploy").disabled = false;
element("file").disabled = false;
show();
