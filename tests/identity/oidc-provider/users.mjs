// Who can log in, and how a password is compared.
import { createHash, timingSafeEqual } from 'node:crypto';

const users = new Map([
  ['alice', { password: 'alice-pw', department: 'time travel', roles: ['admin'] }],
  ['bob', { password: 'bob-pw', department: 'ticket office', roles: [] }],
  // The user of the example in NetIQ's documentation.
  ['fred', { password: 'test0123', department: 'ticket office', roles: ['manager'] }],
]);

const digest = (text) => createHash('sha256').update(text).digest();

// Compares digests, which all have the same length, in constant time. An unknown user takes as long as a wrong
// password.
export function authenticate(name = '', password = '') {
  const same = timingSafeEqual(digest(password), digest(users.get(name)?.password ?? ''));
  return users.has(name) && same;
}

export const isUser = (name) => users.has(name);

// Where identity servers put the roles of a user: in a list, as Keycloak nests it, and as Zitadel makes keys of
// them, each with the organisation that gave it.
function roleMembers(roles) {
  return {
    roles,
    realm_access: { roles },
    'urn:zitadel:iam:org:project:roles': Object.fromEntries(roles.map((role) => [role, { 1955: 'example.test' }])),
  };
}

// Returns the members of the introspection response that describe a user, beyond the registered ones.
export function describe(name) {
  const user = users.get(name);
  return user && { username: name, department: user.department, ...roleMembers(user.roles) };
}

export async function findAccount(ctx, id) {
  return users.has(id) ? { accountId: id, claims: async () => ({ sub: id }) } : undefined;
}
