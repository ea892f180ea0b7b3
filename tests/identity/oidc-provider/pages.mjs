// How a page of this server looks: plain HTML without script, so that a browser and an HTTP client with a cookie
// jar walk the same way.
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

// Names and scopes come from the request, so every value is escaped; an array holds finished markup.
export function html(strings, ...values) {
  const escape = (value) => (Array.isArray(value)
    ? value.join('')
    : String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]));
  return strings.reduce((page, text, index) => page + escape(values[index - 1]) + text);
}

export const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
};

export function page(title, body) {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body { font: 1rem/1.6 sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem } label { display: block }</style>
<h1>${title}</h1>
${[body]}
</html>
`;
}
