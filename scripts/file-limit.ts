/**
 * Loaded before each test file of `npm test`: a file whose process does not end fails, and says what keeps it. The runner itself waits for one
 * forever: its limit is of tests, and what a test left open (a process, a server) is of none.
 */

/** Tests that hang are ended before, one by one. */
const FILE_MS_MAX = 1_200_000;

setTimeout(() => {
  const kept = process.getActiveResourcesInfo().join(", ");
  console.error(`The test file has not ended after ${FILE_MS_MAX / 1000} s. What keeps it: ${kept}.`);
  process.exit(1);
}, FILE_MS_MAX).unref();
