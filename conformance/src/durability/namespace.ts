/** Arguments of `unshare` for processes that may mount file systems of their own. */

/** Its processes end with it too, whatever happens. Without the right to mount, in a user namespace where the caller is root. */
export const NAMESPACE: readonly string[] = [
  ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]),
  ...["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
];
