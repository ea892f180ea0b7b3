// The pages of the device grant (RFC 8628, 3.3): the user types what the device shows and says that it is theirs;
// the login and the consent of every other flow follow.
import { HEADERS, html, page } from './pages.mjs';

const INPUT_FORM = 'op.deviceInputForm';
const CONFIRM_FORM = 'op.deviceConfirmForm';

function show(ctx, title, body) {
  ctx.set(HEADERS);
  ctx.body = page(title, body);
}

// `form` comes from oidc-provider, as markup and without a button.
export const devicePages = {
  userCodeInputSource: async (ctx, form, out, error) => {
    const complaint = error ? [html`<p role="alert">${error.userCode ? 'This code is not known.' : 'This was not finished.'}</p>`] : [];
    show(ctx, 'Which code does the device show?', html`${complaint}${[form]}
<p><button form="${INPUT_FORM}">Continue</button></p>`);
  },
  userCodeConfirmSource: async (ctx, form, client, deviceInfo, userCode) => {
    show(ctx, 'Is this your device?', html`<p>The application <b>${client.clientId}</b> shows the code <b>${userCode}</b>.</p>
${[form]}
<p><button form="${CONFIRM_FORM}">Yes</button> <button form="${CONFIRM_FORM}" name="abort" value="yes">No</button></p>`);
  },
  successSource: async (ctx) => {
    show(ctx, 'Done', html`<p>Go on at the device.</p>`);
  },
};
