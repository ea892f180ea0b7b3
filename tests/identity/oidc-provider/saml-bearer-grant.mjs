// The SAML 2.0 bearer grant (RFC 7522, 2.1): issues a token to the subject of an assertion that a trusted identity
// provider has signed.
import { DOMParser, onWarningStopParsing } from '@xmldom/xmldom';
import { errors } from 'oidc-provider';
import { SignedXml } from 'xml-crypto';
import {
  Redeemed, SKEW_SECONDS, TRUSTED_ISSUER, audiences, now, refuse, tokenEndpoint,
} from './assertions.mjs';
import { isUser } from './users.mjs';

export const SAML_BEARER = 'urn:ietf:params:oauth:grant-type:saml2-bearer';

const SAML = 'urn:oasis:names:tc:SAML:2.0:assertion';
const BEARER = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
const XMLDSIG = 'http://www.w3.org/2000/09/xmldsig#';
// The only algorithms that a signature may use.
const SIGNATURES = ['http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'];
const DIGESTS = ['http://www.w3.org/2001/04/xmlenc#sha256'];
const TRANSFORMS = ['http://www.w3.org/2001/10/xml-exc-c14n#', `${XMLDSIG}enveloped-signature`];

function parse(xml) {
  let document;
  try {
    document = new DOMParser({ onError: onWarningStopParsing }).parseFromString(xml, 'text/xml');
  } catch (error) {
    throw refuse(error.message);
  }
  // Entities could make the parsed document differ from the signed one.
  if (document.doctype) throw refuse('it has a document type');
  return document;
}

const only = (algorithms, names) => Object.fromEntries(names.map((name) => [name, algorithms[name]]));

// Returns the signed assertion. The rest of the document is ignored, so that moved or inserted elements have no effect
// (signature wrapping).
function signedAssertion(xml, certificate) {
  const signatures = parse(xml).getElementsByTagNameNS(XMLDSIG, 'Signature');
  if (signatures.length !== 1) throw refuse('it does not have exactly one signature');
  // Verifies with the configured certificate and ignores any key in the signature.
  const signed = new SignedXml({ publicCert: certificate, getCertFromKeyInfo: () => null });
  signed.SignatureAlgorithms = only(signed.SignatureAlgorithms, SIGNATURES);
  signed.HashAlgorithms = only(signed.HashAlgorithms, DIGESTS);
  signed.CanonicalizationAlgorithms = only(signed.CanonicalizationAlgorithms, TRANSFORMS);
  try {
    signed.loadSignature(signatures[0]);
    if (!signed.checkSignature(xml)) throw new Error('the signature is wrong');
  } catch (error) {
    throw refuse(error.message);
  }
  const references = signed.getSignedReferences();
  if (references.length !== 1) throw refuse('it signs more than one thing');
  const root = parse(references[0]).documentElement;
  if (root.namespaceURI !== SAML || root.localName !== 'Assertion') throw refuse('no assertion is signed');
  return root;
}

const children = (element, name) => Array.from(element?.childNodes ?? [])
  .filter((child) => child.namespaceURI === SAML && child.localName === name);
const text = (element) => element?.textContent.trim();

// In seconds; NaN if the attribute is missing, so that every comparison fails.
const time = (element, name) => Date.parse(element.getAttribute(name) ?? '') / 1000;
const hasBegun = (element) => !element.hasAttribute('NotBefore') || time(element, 'NotBefore') - SKEW_SECONDS <= now();
const isOver = (element) => element.hasAttribute('NotOnOrAfter') && !(time(element, 'NotOnOrAfter') + SKEW_SECONDS > now());

// `certificate`: the certificate of the trusted identity provider as PEM. If it is omitted, every assertion is
// rejected.
export function registerSamlBearerGrant(provider, { issue, certificate }) {
  const redeemed = new Redeemed();

  // Checks in the order of RFC 7522, 3. Returns the expiry time of the first valid subject confirmation.
  function confirmedUntil(subject, conditions) {
    for (const confirmation of children(subject, 'SubjectConfirmation')) {
      const [data] = children(confirmation, 'SubjectConfirmationData');
      const ours = confirmation.getAttribute('Method') === BEARER && data
        && data.getAttribute('Recipient') === tokenEndpoint(provider) && hasBegun(data) && !isOver(data);
      const ends = ours ? [data, conditions].map((element) => time(element, 'NotOnOrAfter')).filter(Number.isFinite) : [];
      if (ends.length > 0) return Math.min(...ends);
    }
    throw refuse('its subject is not confirmed for this token endpoint and this moment');
  }

  function verify(encoded) {
    if (!certificate) throw refuse('no issuer is trusted');
    const assertion = signedAssertion(Buffer.from(encoded, 'base64url').toString('utf8'), certificate);
    if (text(children(assertion, 'Issuer')[0]) !== TRUSTED_ISSUER) throw refuse('its issuer is not trusted');
    const [conditions] = children(assertion, 'Conditions');
    if (!conditions) throw refuse('it has no conditions');
    if (!hasBegun(conditions) || isOver(conditions)) throw refuse('it is not good at this moment');
    const restrictions = children(conditions, 'AudienceRestriction');
    const isForUs = (restriction) => children(restriction, 'Audience').some((audience) => audiences(provider).includes(text(audience)));
    if (restrictions.length === 0 || !restrictions.every(isForUs)) throw refuse('it is for another audience');
    const [subject] = children(assertion, 'Subject');
    const until = confirmedUntil(subject, conditions);
    const name = text(children(subject, 'NameID')[0]);
    if (!isUser(name)) throw refuse('unknown user');
    if (!redeemed.add(assertion.getAttribute('ID'), until)) throw refuse('it was redeemed before');
    return name;
  }

  async function handle(ctx) {
    const { assertion } = ctx.oidc.params;
    if (!assertion) throw new errors.InvalidRequest('assertion is required');
    await issue(ctx, { accountId: verify(assertion), gty: 'saml2-bearer' });
  }
  provider.registerGrantType(SAML_BEARER, handle, ['assertion', 'scope', 'resource']);
}
