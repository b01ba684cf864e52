// The listener by Nodemailer: by whose the connection is, and with a login over STARTTLS and over TLS.
const nodemailer = require('nodemailer')
const fs = require('fs')
const [to, from, file] = process.argv.slice(2)
const auth = { user: process.env.LOGIN, pass: process.env.PASSWORD }
const send = (name, options) => nodemailer.createTransport({ host: 'localhost', ...options }).sendMail({
  from: `Shop <${from}>`, to: `${to}-${name}@example.test`, bcc: `${to}-${name}-bcc@example.test`, subject: 'Nodemailer', text: fs.readFileSync(file, 'utf8') })
send('plain', { port: process.env.PLAIN, ignoreTLS: true })
  .then(() => send('start', { port: process.env.START, requireTLS: true, auth }))
  .then(() => send('tls', { port: process.env.TLS, secure: true, auth }))
  .catch(e => { console.error(e); process.exit(1) })
