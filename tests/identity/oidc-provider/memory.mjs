// Storage of the authorization server: a map whose entries end with their lifetime.
//
// oidc-provider's built-in memory adapter keeps the 1000 most recently used entries, so under load it evicts valid
// tokens. This one removes an entry only when it expires, which also bounds the memory.

const PURGE_MS = 10_000;

// Revoking a grant removes these; sessions and interactions only mention it.
const GRANTED = new Set(['AccessToken', 'AuthorizationCode', 'DeviceCode', 'RefreshToken']);

// The storage of one server: `Adapter` for oidc-provider, `purge` for the admin API, `close` for shutdown.
export function createStorage() {
  const entries = new Map(); // "Model:id" -> { payload, expiresAt }
  const sessions = new Map(); // uid of a session -> key of its entry
  const userCodes = new Map(); // what a device shows -> key of its entry
  const grants = new Map(); // id of a grant -> keys of the tokens issued under it

  function read(key) {
    const entry = entries.get(key);
    return entry && entry.expiresAt > Date.now() ? entry.payload : undefined;
  }

  let purged = 0;

  // Removes expired entries. Returns the number of entries removed since the start.
  function purge() {
    const now = Date.now();
    const before = entries.size;
    for (const [key, entry] of entries) if (entry.expiresAt <= now) entries.delete(key);
    for (const [uid, key] of sessions) if (!entries.has(key)) sessions.delete(uid);
    for (const [code, key] of userCodes) if (!entries.has(key)) userCodes.delete(code);
    for (const [id, keys] of grants) {
      for (const key of keys) if (!entries.has(key)) keys.delete(key);
      if (keys.size === 0) grants.delete(id);
    }
    purged += before - entries.size;
    return purged;
  }

  // unref: the timer alone must not keep the process alive.
  const schedule = setInterval(purge, PURGE_MS).unref();

  class Adapter {
    constructor(model) {
      this.model = model;
    }

    key(id) {
      return `${this.model}:${id}`;
    }

    async upsert(id, payload, expiresIn) {
      const key = this.key(id);
      entries.set(key, { payload, expiresAt: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
      if (this.model === 'Session') sessions.set(payload.uid, key);
      if (payload.userCode) userCodes.set(payload.userCode, key);
      if (GRANTED.has(this.model) && payload.grantId) {
        if (!grants.has(payload.grantId)) grants.set(payload.grantId, new Set());
        grants.get(payload.grantId).add(key);
      }
    }

    async find(id) {
      return read(this.key(id));
    }

    async findByUid(uid) {
      return read(sessions.get(uid));
    }

    async findByUserCode(userCode) {
      return read(userCodes.get(userCode));
    }

    async consume(id) {
      const payload = read(this.key(id));
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    }

    async destroy(id) {
      entries.delete(this.key(id));
    }

    async revokeByGrantId(grantId) {
      for (const key of grants.get(grantId) ?? []) entries.delete(key);
      grants.delete(grantId);
    }
  }

  return { Adapter, purge, close: () => clearInterval(schedule) };
}
