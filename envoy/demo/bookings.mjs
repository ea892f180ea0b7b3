// The bookings API of "Time Travels", the upstream of the demo.
//
// It checks no token; the gateway does. It returns the headers x-auth-* that the gateway sets for the caller.
//
//   HOST  address to listen on (127.0.0.1)
//   PORT  port to listen on (9410); 0 selects a free one
import { createServer } from 'node:http';

const HOST = process.env.HOST ?? '127.0.0.1';
const PORT = Number(process.env.PORT ?? 9410);

// Limits, so that a load test cannot exhaust the memory.
const MAX_BOOKINGS = 1000;
const MAX_BODY = 16 * 1024;
const MAX_DESTINATION = 200;

const bookings = new Map();
let lastId = 0;

function book(destination) {
  const booking = { id: String(++lastId), destination };
  bookings.set(booking.id, booking);
  // A Map keeps the insertion order, so the first key is the oldest booking.
  if (bookings.size > MAX_BOOKINGS) bookings.delete(bookings.keys().next().value);
  return booking;
}

book('Alexandria, 47 BC');
book('Florence, 1504');

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function readJson(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Refusal(413, 'the body is too large');
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refusal(400, 'the body is not JSON');
  }
}

function caller({ headers }) {
  return {
    subject: headers['x-auth-subject'],
    client_id: headers['x-auth-client-id'],
    scope: headers['x-auth-scope'],
  };
}

function find(id) {
  const booking = bookings.get(id);
  if (!booking) throw new Refusal(404, 'no such booking');
  return booking;
}

async function answer(req) {
  const path = req.url.split('?', 1)[0];
  if (path === '/healthz') return [200, { status: 'ok' }];
  if (path === '/bookings' && req.method === 'GET') return [200, { caller: caller(req), bookings: [...bookings.values()] }];
  if (path === '/bookings' && req.method === 'POST') {
    const destination = (await readJson(req))?.destination ?? 'anywhen';
    if (typeof destination !== 'string' || destination.length > MAX_DESTINATION) {
      throw new Refusal(400, `destination must be a text of at most ${MAX_DESTINATION} characters`);
    }
    return [201, book(destination)];
  }
  const id = /^\/bookings\/([^/]+)$/.exec(path)?.[1];
  if (id && req.method === 'GET') return [200, find(id)];
  if (id && req.method === 'DELETE') {
    const cancelled = find(id);
    bookings.delete(id);
    return [200, { cancelled }];
  }
  throw new Refusal(404, 'there is nothing here');
}

async function handle(req, res) {
  let status;
  let body;
  try {
    [status, body] = await answer(req);
  } catch (error) {
    // Other errors mean that the connection failed while the body was read.
    [status, body] = [error.status ?? 400, { error: error.message }];
  }
  const text = `${JSON.stringify(body)}\n`;
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

const server = createServer(handle);
// Longer than Envoy's idle timeout (demo.yaml). The default of Node.js, 5 s, would close connections in use.
server.keepAliveTimeout = 120_000;
server.listen(PORT, HOST, () => console.log(`ready http://${HOST}:${server.address().port}`));
