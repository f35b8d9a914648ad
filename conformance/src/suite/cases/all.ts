/** Declares every case: a file a group of sections. */
import "./arguments.ts";
