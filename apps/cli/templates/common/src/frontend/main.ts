import { safeGetCanisterEnv } from "@icp-sdk/core/agent/canister-env";
import { createActor } from "../bindings/backend";

/** Given by the server as a cookie: the canisters' ids and the network's root key. */
interface Env {
  readonly "PUBLIC_CANISTER_ID:backend": string;
}

const env = safeGetCanisterEnv<Env>();
if (env === undefined) throw new Error("the server gave no ic_env cookie: deploy the backend first");
const backend = createActor(env["PUBLIC_CANISTER_ID:backend"], {
  agentOptions: { host: location.origin, rootKey: env.IC_ROOT_KEY },
});

const form = document.querySelector<HTMLFormElement>("#form");
const input = document.querySelector<HTMLInputElement>("#text");
const status = document.querySelector<HTMLElement>("#status");
const list = document.querySelector<HTMLElement>("#notes");
if (form === null || input === null || status === null || list === null)
  throw new Error("index.html has changed");

async function show(): Promise<void> {
  const notes = await backend.notes();
  list?.replaceChildren(
    ...notes.map((note) => {
      const item = document.createElement("li");
      item.textContent = note;
      return item;
    }),
  );
}

/** Tells what is going on while it goes on, and why it did not work. */
async function telling(what: string, work: () => Promise<void>): Promise<void> {
  if (status === null) return;
  status.textContent = what;
  try {
    await work();
    status.textContent = "";
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void telling("Adding …", async () => {
    await backend.add(input.value);
    input.value = "";
    await show();
  });
});

void telling("Loading …", show);
