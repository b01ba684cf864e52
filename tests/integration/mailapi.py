# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""A double of Microsoft Graph's sendMail and Gmail's messages.send, strict in what it takes.

No such server can be had for a test. This one refuses whatever the documented APIs refuse (path, method, content type, encoding, a message
without a recipient, an expired or unknown token), sends to whom the header section names, takes Bcc out, and fails on demand.
"""
import base64, binascii, email, email.policy, email.utils, http.server, json, re, ssl, threading, time


def addresses(message, *fields):
    return [a for f in fields for _, a in email.utils.getaddresses([str(v) for v in message.get_all(f, [])]) if a]


class MailAPI:
    """`tokens` gives the access tokens that are good now. `modes` are used up one a request: 401, 403 CODE, 429 SECONDS, 5xx, hang, drop
    (the whole request is read and nothing answered), cut (the connection ends in the middle of the request), html; without one all is well."""

    def __init__(self, tokens, cert=None, key=None):
        self.tokens, self.modes, self.requests, self.delivered = tokens, [], [], []
        self.lock, self.busy, self.most = threading.Lock(), 0, 0
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *a):
                pass

            def do_POST(self):
                with api.lock:
                    api.busy += 1
                    api.most = max(api.most, api.busy)
                try:
                    api.answer(self)
                finally:
                    with api.lock:
                        api.busy -= 1

            do_GET = do_PUT = do_POST

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- a request ----

    def answer(self, h):
        mode = ''
        with self.lock:
            if self.modes:
                mode = self.modes.pop(0)
        if mode == 'cut':
            h.rfile.read(100)
            return self.hang_up(h)
        body = h.rfile.read(int(h.headers.get('Content-Length', 0)))
        with self.lock:
            self.requests.append(dict(path=h.path, headers=dict(h.headers), size=len(body), at=time.monotonic(), mode=mode))
        if mode == 'hang':
            time.sleep(300)
            return self.hang_up(h)
        if mode == 'drop':
            return self.hang_up(h)
        if mode == 'html':
            return self.say(h, 200, '<html>Sign in to the hotel Wi-Fi</html>', {'Content-Type': 'text/html'})
        gmail = h.path.startswith('/upload/gmail/')
        if mode:
            return self.refuse(h, gmail, *mode.split(' ', 1))
        token = re.fullmatch(r'Bearer (\S+)', h.headers.get('Authorization', ''))
        if not token or token.group(1) not in self.tokens():
            return self.refuse(h, gmail, '401')
        if h.command != 'POST':
            return self.refuse(h, gmail, '405')
        if gmail:
            return self.gmail(h, body)
        return self.graph(h, body)

    def hang_up(self, h):
        h.close_connection = True
        try:
            h.connection.shutdown(2)
        except OSError:
            pass

    def say(self, h, status, text='', headers={}):
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header('request-id', f'r-{len(self.requests)}')
        h.send_header('Content-Length', str(len(text.encode())))
        h.end_headers()
        h.wfile.write(text.encode())

    def refuse(self, h, gmail, status, code=None):
        status, headers = int(status), {'Content-Type': 'application/json'}
        if status == 429 and code:
            headers['Retry-After'], code = code, None
        if gmail:
            reason = code or {401: 'authError', 429: 'rateLimitExceeded'}.get(status, 'backendError')
            text = dict(error=dict(code=status, message=f'the message of {reason}', errors=[dict(domain='global', reason=reason, message='m')],
                                   status={401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED'}.get(status, 'UNKNOWN')))
        else:
            code = code or {401: 'InvalidAuthenticationToken', 429: 'ApplicationThrottled', 413: 'RequestEntityTooLarge'}.get(status, 'UnknownError')
            text = dict(error=dict(code=code, message=f'the message of {code}', innerError={'request-id': 'inner', 'date': '2026-11-28'}))
        self.say(h, status, json.dumps(text), headers)

    # ---- the APIs ----

    def graph(self, h, body):
        if not re.fullmatch(r'/v1\.0/(me|users/[^/@]+%40[^/]+)/sendMail', h.path):
            return self.refuse(h, False, '404', 'ResourceNotFound')
        if h.headers.get('Content-Type', '').split(';')[0] != 'text/plain':
            return self.refuse(h, False, '400', 'RequestBroker--ParseUri')
        if len(body) > 4 * 1024 * 1024:
            return self.refuse(h, False, '413')
        try:
            raw = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return self.refuse(h, False, '400', 'ErrorMimeContentInvalidBase64String')
        if not self.deliver(raw):
            return self.refuse(h, False, '400', 'ErrorInvalidRecipients')
        self.say(h, 202)

    def gmail(self, h, body):
        if h.path != '/upload/gmail/v1/users/me/messages/send?uploadType=media':
            return self.refuse(h, True, '404', 'notFound')
        if h.headers.get('Content-Type') != 'message/rfc822':
            return self.refuse(h, True, '400', 'badContent')
        if len(body) > 36700160:
            return self.refuse(h, True, '413', 'uploadTooLarge')
        if not self.deliver(body):
            return self.refuse(h, True, '400', 'invalidArgument')
        self.say(h, 200, json.dumps(dict(id=f'id-{len(self.delivered)}', threadId='t', labelIds=['SENT'])), {'Content-Type': 'application/json'})

    def deliver(self, raw):
        message = email.message_from_bytes(raw, policy=email.policy.SMTP)
        to = addresses(message, 'To', 'Cc', 'Bcc')
        if not to or b'\r\n' not in raw or re.search(rb'[^\r]\n', raw):
            return False
        del message['Bcc']
        with self.lock:
            self.delivered.append(dict(to=sorted(set(to)), subject=str(message['Subject']), raw=raw, size=len(raw)))
        return True

    def got(self, subject):
        with self.lock:
            return [d for d in self.delivered if d['subject'] == subject]
