// An authorization server of another make than the ground's own: npm oauth2-mock-server. Started by ../other-server.
// It signs everybody in at once; access tokens are JWTs, refresh tokens are new each time.
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(path.join(process.env.GROUND_MOCK_MODULES, 'x.js'));
const { OAuth2Server } = await import(pathToFileURL(require.resolve('oauth2-mock-server')));
const o = { port: 0 };
for (let i = 2; i < process.argv.length; i += 2) o[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const S = { aud: '', email: 'billing@example.test' }; const st = { requests: 0, by_grant: {}, revoked: 0 };

const server = new OAuth2Server(process.env.GROUND_TLS_KEY, process.env.GROUND_TLS_CERT);
await server.issuer.keys.generate('RS256');
server.service.on('beforeTokenSigning', (token, req) => {
  token.payload.email = S.email;
  // the ID token's audience is the client; the access token's is what the test wants
  if (token.payload.aud === undefined && S.aud) token.payload.aud = S.aud;
});
server.service.on('beforeResponse', (res, req) => {
  const grant = req.body.grant_type; st.requests += 1; st.by_grant[grant] = (st.by_grant[grant] || 0) + 1;
  if (res.body.scope === 'dummy') res.body.scope = 'openid email mail.send';
});
server.service.on('beforeRevoke', () => { st.revoked += 1; });
await server.start(Number(o.port), '127.0.0.1');
const control = http.createServer((req, res) => {
  const u = new URL(req.url, 'http://x'); Object.assign(S, Object.fromEntries(u.searchParams));
  res.writeHead(200, { 'content-type': 'application/json' }); res.end(JSON.stringify({ ...st, ...S }));
});
await new Promise((r) => { control.listen(0, '127.0.0.1', r); });
console.log(JSON.stringify({ issuer: server.issuer.url, port: server.address().port, control: control.address().port }));
for (const s of ['SIGTERM', 'SIGINT']) process.on(s, () => process.exit(0));
