// Nodemailer's sendmail transport, with both of its line ends.
const nodemailer = require('nodemailer')
const fs = require('fs')
const [to, from, file] = process.argv.slice(2)
const send = (name, newline) => nodemailer.createTransport({ sendmail: true, newline, path: '/usr/sbin/sendmail' }).sendMail({
  from: `Shop <${from}>`, to: [`${to}-${name}@example.test`, { name: 'Grüße, Kunde', address: `${to}-${name}-two@example.test` }],
  bcc: `${to}-${name}-bcc@example.test`, subject: 'Nodemailer', text: fs.readFileSync(file, 'utf8') })
send('unix', 'unix').then(() => send('windows', 'windows')).catch(e => { console.error(e); process.exit(1) })
