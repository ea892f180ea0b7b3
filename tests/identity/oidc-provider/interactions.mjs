// The login and consent pages between the authorization request and the authorization response.
//
// GET the page, POST its form back to the same address, follow the redirect.
import { errors } from 'oidc-provider';
import { readForm } from './form.mjs';
import { HEADERS, html, page } from './pages.mjs';
import { authenticate } from './users.mjs';

export const INTERACTION_PATH = '/interaction/';

function send(res, status, title, body) {
  const text = page(title, body);
  res.writeHead(status, { ...HEADERS, 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

function loginPage(res, { name = '', failed = false } = {}) {
  const complaint = failed ? [html`<p role="alert">Wrong user name or password.</p>`] : [];
  send(res, failed ? 403 : 200, 'Log in', html`${complaint}<form method="post">
<label>User name <input name="username" value="${name}" autocomplete="username" autofocus required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button name="action" value="login">Log in</button> <button name="action" value="cancel" formnovalidate>Cancel</button></p>
</form>`);
}

function consentPage(res, { params, session, prompt }) {
  const boxes = requestedScopes(prompt).map((scope) => html`<label><input type="checkbox" name="scope" value="${scope}" checked> ${scope}</label>
`);
  send(res, 200, 'Allow access?', html`<p>${session.accountId}, the application <b>${params.client_id}</b> asks for:</p>
<form method="post">
${boxes}<p><button name="action" value="allow">Allow what is ticked</button> <button name="action" value="cancel">Cancel</button></p>
</form>`);
}

// `openid` is left out: OpenID Connect has no way to refuse it alone, only to refuse the whole request.
const OPENID = 'openid';

function requestedScopes({ details }) {
  const scopes = [...(details.missingOIDCScope ?? []), ...Object.values(details.missingResourceScopes ?? {}).flat()];
  return [...new Set(scopes)].filter((scope) => scope !== OPENID);
}

// Unticked scopes are recorded as rejected. Without a recorded decision, the server would ask for consent to the
// same scope again and again.
async function saveGrant(provider, { params, session, prompt: { details } }, ticked) {
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const approved = (scope) => scope === OPENID || ticked.has(scope);
  for (const scope of details.missingOIDCScope ?? []) {
    if (approved(scope)) grant.addOIDCScope(scope);
    else grant.rejectOIDCScope(scope);
  }
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    for (const scope of scopes) {
      if (approved(scope)) grant.addResourceScope(resource, scope);
      else grant.rejectResourceScope(resource, scope);
    }
  }
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  return grant.save();
}

async function submit(provider, req, res, interaction) {
  const form = await readForm(req);
  if (form.get('action') === 'cancel') {
    const refusal = { error: 'access_denied', error_description: 'the user cancelled the request' };
    return provider.interactionFinished(req, res, refusal);
  }
  if (interaction.prompt.name === 'login') {
    const name = form.get('username') ?? '';
    if (!authenticate(name, form.get('password') ?? '')) return loginPage(res, { name, failed: true });
    return provider.interactionFinished(req, res, { login: { accountId: name } }, { mergeWithLastSubmission: false });
  }
  const grantId = await saveGrant(provider, interaction, new Set(form.getAll('scope')));
  return provider.interactionFinished(req, res, { consent: { grantId } });
}

export async function handleInteraction(provider, req, res) {
  try {
    // Throws unless the cookie of this browser belongs to a pending authorization request.
    const interaction = await provider.interactionDetails(req, res);
    if (req.method === 'POST') await submit(provider, req, res, interaction);
    else if (interaction.prompt.name === 'login') loginPage(res);
    else consentPage(res, interaction);
  } catch (error) {
    const status = error instanceof errors.SessionNotFound ? 400 : error.status ?? 500;
    if (status === 500) console.error(error);
    const message = status === 500 ? 'Something went wrong here.' : error.error_description ?? error.message;
    send(res, status, 'This does not work', html`<p>${message}</p>`);
  }
}
