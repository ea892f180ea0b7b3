// Many authorization servers in one process, for tests: a process each takes half a second to start. They share no
// token, key or port.
//
// Standard input, a line each: `{"id": N, "env": {...}}` starts a server as the variables of server.mjs say, and
// `{"id": N}` ends it. Standard output: what the server N would write, with `N ` in front; `N failed WHY` if it does not
// start, `N closed` when it has ended. The end of standard input ends them all.
import { createInterface } from 'node:readline';
import { start } from './provider.mjs';

console.info = console.error;

const servers = new Map();

async function obey({ id, env }) {
  const say = (line) => console.log(`${id} ${line}`);
  if (env) {
    try {
      servers.set(id, await start(env, say));
    } catch (error) {
      say(`failed ${error.message}`);
    }
  } else {
    await servers.get(id)?.close();
    servers.delete(id);
    say('closed');
  }
}

const orders = createInterface({ input: process.stdin });
orders.on('line', (line) => obey(JSON.parse(line)));
orders.on('close', () => process.exit(0));
