/** Version of the command and of the network it starts; the packages move in lockstep. */
export const VERSION = "0.1.0";
