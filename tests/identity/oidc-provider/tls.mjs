// The certificate of the TLS listener and the private authority behind it, both new at each start. By openssl:
// node makes keys, but no certificates.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

// `caFile` gets the certificate of the authority; its key is thrown away.
export function makeCertificate(host, caFile) {
  const directory = mkdtempSync(join(tmpdir(), 'scopegate-tls-'));
  const openssl = (...args) => execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    openssl('req', '-x509', ...NEW_KEY, '-subj', '/CN=Private authority', '-keyout', 'ca.key', '-out', 'ca.pem');
    openssl(
      'req', '-x509', ...NEW_KEY, '-subj', '/CN=Identity server', '-keyout', 'server.key', '-out', 'server.pem',
      '-CA', 'ca.pem', '-CAkey', 'ca.key', '-addext', `subjectAltName=IP:${host}`,
      '-addext', 'basicConstraints=critical,CA:FALSE',
    );
    if (caFile) copyFileSync(join(directory, 'ca.pem'), caFile);
    const read = (name) => readFileSync(join(directory, name));
    return { key: read('server.key'), cert: read('server.pem') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
