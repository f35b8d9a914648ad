/** Declares every case: a file a group of sections. */
import "./arguments.ts";
import "./authentication.ts";
import "./calls.ts";
import "./cycles.ts";
import "./environment.ts";
import "./http.ts";
import "./installation.ts";
import "./management.ts";
import "./modules.ts";
import "./responding.ts";
import "./stable.ts";
import "./state.ts";
