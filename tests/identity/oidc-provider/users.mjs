// Who can log in, and how a password is compared.
import { createHash, timingSafeEqual } from 'node:crypto';

const users = new Map([
  ['alice', { password: 'alice-pw', department: 'time travel', roles: ['admin'] }],
  ['bob', { password: 'bob-pw', department: 'ticket office', roles: ['clerk'] }],
]);

const digest = (text) => createHash('sha256').update(text).digest();

// Digests have one length, so the comparison takes the same time whatever was typed, and an unknown name
// costs what a wrong password costs.
export function authenticate(name = '', password = '') {
  const same = timingSafeEqual(digest(password), digest(users.get(name)?.password ?? ''));
  return users.has(name) && same;
}

// What the introspection answer says about a user beyond the registered members.
export function describe(name) {
  const user = users.get(name);
  return user && { username: name, department: user.department, roles: user.roles };
}

export async function findAccount(ctx, id) {
  return users.has(id) ? { accountId: id, claims: async () => ({ sub: id }) } : undefined;
}
