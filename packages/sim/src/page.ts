/**
 * The shell of a page that needs nothing else: style and scripts are in it, and its policy lets it ask nobody for anything. Texts that
 * others chose go into the body `escaped`; JSON cannot end the element that it is in.
 */

export interface PageParts {
  /** Text. */
  readonly title: string;
  readonly style: string;
  /** HTML. */
  readonly body: string;
  /** What the script reads, as JSON in the element `data`. */
  readonly json: string;
  readonly script: string;
}

export function documentOf({ title, style, body, json, script }: PageParts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
<script type="application/json" id="data">${json.replaceAll("<", "\\u003c")}</script>
<script>${script}</script>
</body>
</html>
`;
}

/** Text as HTML, between tags and in quoted attributes. */
export function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
