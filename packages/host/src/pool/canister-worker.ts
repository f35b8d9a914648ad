/** Entry point of a worker thread of a canister pool. */
import { serveJobs, workerStart } from "./worker.ts";

serveJobs(workerStart());
