# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""A recording SMTP server, on a Unix socket as the shim meets it, or on a port: PIPELINING, CHUNKING, DSN, XFRANK.

It stores nothing: what it was given is in `messages` (dictionaries) and `commands` (lines). It stands for the daemon where
a test is about what the shim says, or needs a fault that the real daemon does not make.
"""
import os
import socket
import threading


class Double:
    def __init__(self, path, refuse=None, drop=None, listing=('Mail queue is empty',), forget=False, size=None):
        self.forget = forget            # contents are counted, not kept
        self.octets = 0
        self.size = size                # the limit that EHLO names
        self.path = path
        self.messages = []
        self.commands = []
        self.replies = []
        self.refuse = refuse or {}      # "RCPT" -> reply line
        self.drop = drop or (lambda where: False)  # called with "connect", "content", "stored": True closes the connection
        self.listing = listing
        self.flushed = 0
        self.stored = {}
        self.open_sessions = 0
        if path is None:
            # a port on loopback: the server that the daemon submits to
            self.socket = socket.create_server(('127.0.0.1', 0))
            self.port = self.socket.getsockname()[1]
        else:
            if os.path.exists(path):
                os.unlink(path)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.bind(path)
            os.chmod(path, 0o666)
        self.socket.listen(128)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.session, args=(peer,), daemon=True).start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def session(self, peer):
        self.open_sessions += 1
        try:
            with peer:
                self.talk(peer, peer.makefile('rb', 65536))
        except (OSError, ValueError):
            pass
        finally:
            self.open_sessions -= 1

    def talk(self, peer, lines):
        def say(text):
            self.replies.append(text[:3])
            peer.sendall((text + '\r\n').encode('utf-8', 'surrogateescape'))

        transaction = None
        bad = False
        if self.drop('connect'):
            return
        if 'GREETING' in self.refuse:
            say(self.refuse['GREETING'])
            return
        say('220 double ESMTP')
        while True:
            line = lines.readline(1 << 20)
            if not line:
                return
            text = line.rstrip(b'\r\n').decode('utf-8', 'surrogateescape')
            self.commands.append(text)
            verb = text.split(' ')[0].upper()
            if verb in self.refuse and verb != 'BDAT':
                bad = bad or verb in ('MAIL', 'RCPT')
                say(self.refuse[verb])
            elif verb == 'EHLO':
                peer.sendall(b'250-double\r\n' + (b'250-SIZE %d\r\n' % self.size if self.size else b'') + b'250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 XFRANK\r\n')
            elif verb == 'HELO':
                say('250 double')
            elif verb == 'MAIL':
                transaction = {'mail': text, 'rcpt': [], 'content': b''}
                bad = False
                say('250 2.1.0 sender')
            elif verb == 'RCPT':
                if transaction is None:
                    say('503 5.5.1 MAIL first')
                    continue
                transaction['rcpt'].append(text)
                say('250 2.1.5 recipient')
            elif verb == 'BDAT':
                words = text.split()
                content = lines.read(int(words[1]))
                last = len(words) > 2
                if len(content) < int(words[1]):
                    return
                if transaction is None or bad:
                    say('503 5.5.1 no transaction')
                    continue
                self.octets += len(content)
                if not self.forget:
                    transaction['content'] += content
                if not last:
                    if self.drop('content'):
                        return
                    say('250 2.0.0 %d octets' % len(content))
                    continue
                if 'BDAT' in self.refuse:
                    say(self.refuse['BDAT'])
                    continue
                if self.drop('content'):
                    return
                self.keep(transaction)
                transaction = None
                if self.drop('stored'):
                    return
                say('250 2.0.0 queued')
            elif verb == 'DATA':
                say('354 go on')
                while True:
                    piece = lines.readline(1 << 20)
                    if not piece:
                        return
                    if piece in (b'.\r\n', b'.\n'):
                        break
                    transaction['content'] += piece[1:] if piece.startswith(b'.') else piece
                self.keep(transaction)
                transaction = None
                say('250 2.0.0 queued')
            elif verb == 'XFRANK' and text.endswith(' LIST'):
                for one in self.listing[:-1]:
                    say('250-' + one)
                say('250 ' + self.listing[-1])
            elif verb == 'XFRANK' and text.endswith(' ALIASES'):
                say('250 /etc/aliases: 3 aliases in force')
            elif verb == 'XFRANK' and text.endswith(' FLUSH'):
                self.flushed += 1
                say('250 2.0.0 flushed')
            elif verb == 'XFRANK':
                say('250 2.0.0 stored' if text.split()[1] in self.stored else '550 5.1.0 not stored')
            elif verb in ('RSET', 'NOOP', 'VRFY'):
                if verb == 'RSET':
                    transaction = None
                say('250 2.0.0 ok')
            elif verb == 'QUIT':
                say('221 2.0.0 bye')
                return
            else:
                say('500 5.5.1 unknown')

    def keep(self, transaction):
        xid = [w[4:] for w in transaction['mail'].split() if w.startswith('XID=')]
        if xid and xid[0] in self.stored:
            return
        if xid:
            self.stored[xid[0]] = True
        self.messages.append(transaction)
