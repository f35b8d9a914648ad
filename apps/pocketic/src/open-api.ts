/** The OpenAPI document of the server: its paths and methods. */

const SERVER: Readonly<Record<string, readonly string[]>> = {
  "/status": ["get"],
  "/api.json": ["get"],
  "/blobstore": ["post"],
  "/blobstore/{id}": ["get"],
  "/verify_signature": ["post"],
  "/read_graph/{state_label}/{op_id}": ["get"],
  "/prune_graph/{state_label}/{op_id}": ["delete"],
  "/instances": ["get", "post"],
  "/instances/{id}": ["delete"],
  "/http_gateway": ["get", "post"],
  "/http_gateway/{id}/stop": ["post"],
};

/** `operations`: paths below an instance with their method. */
export function openApi(operations: Readonly<Record<string, "GET" | "POST">>): string {
  const paths = Object.entries(SERVER).map(([path, methods]) => [path, methods] as const);
  const below = Object.entries(operations).map(
    ([path, method]) => [`/instances/{id}/${path}`, [method.toLowerCase()]] as const,
  );
  const responses = { default: { description: "See the README of apps/pocketic." } };
  return JSON.stringify({
    openapi: "3.1.0",
    info: { title: "PocketIC server API", version: "14.0.0" },
    paths: Object.fromEntries(
      [...paths, ...below, ["/instances/{id}/auto_progress", ["get", "post"]] as const].map(
        ([path, methods]) => [path, Object.fromEntries(methods.map((method) => [method, { responses }]))],
      ),
    ),
  });
}
