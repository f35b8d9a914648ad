/** Serves this folder at http://127.0.0.1:PORT, 8080 unless said otherwise. Any server of files does. */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".gz": "application/octet-stream" };

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  // No way leads above this folder: the path is absolute before it is joined.
  const path = join(import.meta.dirname, normalize(pathname === "/" ? "/index.html" : pathname));
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
  createReadStream(path).pipe(response);
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
