// scram-server.mjs --cert F --key F [--tls12] [--lie] [--no-plus] [--once]: a submission server that knows SCRAM-SHA-256 and -PLUS and nothing
// else, written from RFC 5802 and RFC 9266 without a look at Frank. Implicit TLS on a free loopback port, printed as a JSON line.
// User "billing@example.test"; the password comes by standard input. --lie: it binds to something else, as somebody in between would.
// --once: a connection is for one message.
import tls from 'node:tls'
import crypto from 'node:crypto'
import fs from 'node:fs'

const args = process.argv.slice(2), has = n => args.includes(n), value = n => args[args.indexOf(n) + 1]
const password = fs.readFileSync(0, 'utf8').trim(), salt = crypto.randomBytes(16), rounds = 4096
const hmac = (k, d) => crypto.createHmac('sha256', k).update(d).digest(), sha = d => crypto.createHash('sha256').update(d).digest()
const salted = crypto.pbkdf2Sync(password, salt, rounds, 32, 'sha256')
const storedKey = sha(hmac(salted, 'Client Key')), serverKey = hmac(salted, 'Server Key')
const certificate = fs.readFileSync(value('--cert'))

function binding(socket, type) {
  if (has('--lie')) return Buffer.from('somebody in between')
  if (type === 'tls-exporter' && socket.getProtocol() === 'TLSv1.3') return socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  if (type === 'tls-server-end-point') return sha(new crypto.X509Certificate(certificate).raw)
  return null
}

// One exchange: next(message) gives {challenge}, {ok} or {refused}.
function exchange(socket, plus) {
  let state = 0, header, bare, first, nonce
  return message => {
    if (state === 0) {
      const m = /^((?:n|y|p=([a-z-]+)),,)(n=([^,]*),r=(.*))$/.exec(message)
      if (!m || plus !== !!m[2] || (m[1][0] === 'y' && offered().includes('PLUS'))) return { refused: 'other-error' }
      header = Buffer.concat([Buffer.from(m[1]), m[2] ? binding(socket, m[2]) ?? Buffer.from('?') : Buffer.alloc(0)])
      bare = m[3]; nonce = m[5] + crypto.randomBytes(12).toString('base64')
      if (m[4] !== 'billing@example.test') return { refused: 'unknown-user' }
      first = `r=${nonce},s=${salt.toString('base64')},i=${rounds}`
      state = 1
      return { challenge: first }
    }
    if (state === 1) {
      const m = /^(c=([^,]*),r=([^,]*)),p=(.*)$/.exec(message)
      if (!m || m[3] !== nonce) return { refused: 'other-error' }
      if (!Buffer.from(m[2], 'base64').equals(header)) return { refused: 'channel-bindings-dont-match' }
      const auth = `${bare},${first},${m[1]}`, signature = hmac(storedKey, auth), proof = Buffer.from(m[4], 'base64')
      const key = Buffer.from(proof.map((b, i) => b ^ signature[i]))
      if (!sha(key).equals(storedKey)) return { refused: 'invalid-proof' }
      state = 2
      return { challenge: 'v=' + hmac(serverKey, auth).toString('base64') }
    }
    return message === '' ? { ok: true } : { refused: 'other-error' }
  }
}
const offered = () => has('--no-plus') ? 'SCRAM-SHA-256' : 'SCRAM-SHA-256 SCRAM-SHA-256-PLUS'

const server = tls.createServer({ cert: certificate, key: fs.readFileSync(value('--key')), maxVersion: has('--tls12') ? 'TLSv1.2' : 'TLSv1.3' }, socket => {
  let buffer = '', running = null, content = false
  const say = line => socket.write(line + '\r\n')
  const step = text => {
    const r = running(Buffer.from(text, 'base64').toString())
    if (r.challenge) return say('334 ' + Buffer.from(r.challenge).toString('base64'))
    running = null
    say(r.ok ? '235 2.7.0 ok' : `535 5.7.8 ${r.refused}`)
  }
  const take = line => {
    if (content) { if (line === '.') { content = false; say('250 2.0.0 taken'); if (has('--once')) socket.end() } return }
    if (running) return step(line)
    const [verb, mechanism, initial] = line.split(' ')
    if (verb === 'EHLO') { say('250-scram.test'); say('250 AUTH ' + offered()) }
    else if (verb === 'AUTH') { running = exchange(socket, mechanism.endsWith('-PLUS')); step(initial) }
    else if (verb === 'DATA') { content = true; say('354 go on') }
    else if (verb === 'QUIT') { say('221 bye'); socket.end() }
    else say('250 2.0.0 ok')
  }
  say('220 scram.test ESMTP')
  socket.on('error', () => {})
  socket.on('data', d => {
    buffer += d
    for (let i; (i = buffer.indexOf('\r\n')) >= 0;) { const line = buffer.slice(0, i); buffer = buffer.slice(i + 2); take(line) }
  })
})
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))
