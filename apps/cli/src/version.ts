/** Version of the command and of the network it starts. */
export { VERSION } from "@orrery/node/version";
