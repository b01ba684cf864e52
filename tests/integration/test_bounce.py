# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Reports to senders, end to end: failures, delays, ends of lifetimes, "relayed", what -N, -R and -V ask for, and that no report is ever made of
a report. Python's email package reads them, and its delivery status parser. The spool's lifetimes are seconds here."""
import email, smtplib
from email.utils import parsedate_to_datetime

from harness import *

LIFETIME, WARN = 14, 4


class Box:
    """Reports that came to an address: in a mailbox of Postfix's, or kept by a server that is none."""

    def __init__(self, texts):
        self.texts = texts

    def find(self, mark, action, seconds=20):
        """The report about the message with this marker whose first recipient has the action, taken apart: None where none comes."""
        def look():
            for raw in self.texts():
                m = email.message_from_bytes(raw)
                if m.get_content_type() == 'multipart/report' and mark.encode() in whole(m) and action in [f['Action'] for f in fields(m)]:
                    return m
        return wait_for(look, seconds, 0.2)

    def count(self, mark):
        return sum(mark.encode() in whole(email.message_from_bytes(raw)) for raw in self.texts())


def whole(m):
    """The original's part as octets, any encoding undone."""
    if not m.is_multipart() or len(m.get_payload()) < 3:
        return b''
    part = m.get_payload()[2]
    return part.get_payload()[0].as_bytes() if part.is_multipart() else part.get_payload(decode=True) or b''


def fields(m):
    """The blocks of the recipients."""
    return [b for b in m.get_payload()[1].get_payload() if b['Final-Recipient']]


class Door(smtplib.SMTP):
    """SMTP at the submission socket."""

    def __init__(self, path):
        self.path = path
        super().__init__()
        self.connect('localhost', 25)
        self.ehlo()

    def _get_socket(self, host, port, timeout):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(self.path)
        return s


def files(folder):
    return lambda: [open(f, 'rb').read() for f in sorted(glob.glob(os.path.join(folder, '*')))]


def is_report(name, m, sender, action, status, recipient):
    """What RFC 3464, 3834 and 6522 want of every report."""
    if not check(f'{name}: a report comes', m):
        return False
    parts = m.get_payload()
    message, per = parts[1].get_payload()[0], fields(m)[0]
    check(f'{name}: multipart/report with a text, the status and the original', m.get_param('report-type') == 'delivery-status' and
          parts[0].get_content_type() == 'text/plain' and parts[1].get_content_type() == 'message/delivery-status' and len(parts) == 3, m.as_string()[:1500])
    check(f'{name}: from the mailbox of the account, marked as automatic', sender in m['From'] and m['Auto-Submitted'] == 'auto-replied' and m['Date'] and m['Message-ID'], m.items())
    check(f'{name}: Reporting-MTA and Arrival-Date', message['Reporting-MTA'] == 'dns; client.example.test' and message['Arrival-Date'], message.items())
    check(f'{name}: {action}, {status}, {recipient}', per['Action'] == action and re.fullmatch(status, per['Status']) and per['Final-Recipient'] == recipient, per.items())
    check(f'{name}: no part has a defect', not m.defects and not any(p.defects for p in m.walk()), [p.defects for p in m.walk()])
    return True


def run(ground, options):
    keep = {n: os.path.join(harness_dir(), 'bounce-' + n) for n in ('plain', 'deaf')}
    for d in keep.values():
        os.mkdir(d)
    plain = Fault('smtp', '--tls', 'none', '--mode', 'nosmtputf8', '--keep', keep['plain'])  # without DSN as well
    deaf = Fault('smtp', '--tls', 'none', '--keep', keep['deaf'])
    bare = lambda box, port: {'provider': 'generic', 'mailbox': box, 'grant': 'none', 'submit': f'127.0.0.1:{port}', 'tls': 'none'}
    # the mailbox of deaf takes no mail: RCPT of r550-... is refused
    f = Frank('bounce', {'a': password_account(ground), 'plain': bare('plain@example.test', plain.port), 'deaf': bare('r550-deaf@example.test', deaf.port),
                         'gone': bare('gone@example.test', free_port())},
              spool={'lifetime': f'{LIFETIME}s', 'warn-after': f'{WARN}s'})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    f.frank('secret', 'set', 'a', input=ground.password + '\n')
    box = Box(lambda: [t.encode() for t in ground.messages('billing@example.test')])
    there = Box(files(keep['plain']))

    def send(mark, sender, to, *args, body='Hello'):
        text = f'From: {sender}\nTo: {to}\nSubject: {mark}\n\n{body}\n'
        r = f.sendmail('-i', '-f', sender, *args, '--', to, body=text.encode())
        check(f'{mark.split("-")[0]}: sendmail takes it', r.returncode == 0, r.stderr)
        return mark

    billing = 'billing@example.test'
    # all that takes its time first
    late = send(marker('late'), billing, 'greylist@example.test')
    quiet = send(marker('quiet'), billing, 'greylist@example.test', '-N', 'failure')
    never = send(marker('never'), billing, 'nouser@example.test', '-N', 'never')
    gone = send(marker('gone'), 'gone@example.test', 'somebody@example.test')
    failed = send(marker('failed'), billing, 'nouser@example.test')
    asked = send(marker('asked'), billing, 'nouser@example.test', '-N', 'failure', '-R', 'hdrs', '-V', 'order=7')
    passed = send(marker('passed'), billing, 'bounce-passed@example.test', '-N', 'success')
    relayed = send(marker('relayed'), 'plain@example.test', 'somebody@example.test', '-N', 'success')
    utf8 = send(marker('utf8'), 'plain@example.test', 'j\u00fc@example.test', body='gr\u00fcn')
    big = {}
    for name, parameters in (('bigfull', ['RET=FULL']), ('bigwhole', [])):
        big[name] = marker(name)
        with Door(f.path('run/submit.sock')) as s:
            codes = [s.mail(billing, parameters)[0], s.rcpt('nouser@example.test', ['NOTIFY=FAILURE', 'ORCPT=rfc822;old+2Bname@example.net'])[0],
                     s.data(f'From: {billing}\nSubject: {big[name]}\n\n' + 'Hello, at length\n' * 2000)[0]]
        check(f'{name}: the socket takes it', codes == [250, 250, 250], codes)
    nobody = send(marker('nobody'), 'r550-deaf@example.test', 'r550-x@example.test')

    m = box.find(failed, 'failed')
    if is_report('failed', m, billing, 'failed', r'5\.\d+\.\d+', 'rfc822; nouser@example.test'):
        per = fields(m)[0]
        check('failed: the server\'s own words, and whose they are', per['Diagnostic-Code'].startswith('smtp; 550') and 'No such user' in per['Diagnostic-Code'] and
              per['Remote-MTA'] == 'dns; localhost' and per['Last-Attempt-Date'], per.items())
        check('failed: a small message comes back whole', m.get_payload()[2].get_content_type() == 'message/rfc822' and b'Hello' in whole(m), whole(m))
        check('failed: the envelope sender is the mailbox, since providers refuse the null sender', m['Return-Path'] == f'<{billing}>', m.items())
    m = box.find(asked, 'failed')
    if is_report('asked', m, billing, 'failed', r'5\.\d+\.\d+', 'rfc822; nouser@example.test'):
        check('asked: the envelope id comes back', m.get_payload()[1].get_payload()[0]['Original-Envelope-Id'] == 'order=7', m.as_string())
        check('asked: the header section alone', m.get_payload()[2].get_content_type() == 'text/rfc822-headers' and b'Hello' not in whole(m), m.as_string())
    for name, type in (('bigfull', 'message/rfc822'), ('bigwhole', 'text/rfc822-headers')):
        m = box.find(big[name], 'failed')
        if is_report(name, m, billing, 'failed', r'5\.\d+\.\d+', 'rfc822; nouser@example.test'):
            check(f'{name}: the recipient as the caller called him', fields(m)[0]['Original-Recipient'] == 'rfc822; old+name@example.net', fields(m)[0].items())
            check(f'{name}: of a large message what was asked for', m.get_payload()[2].get_content_type() == type, m.get_payload()[2].get_content_type())
    m = there.find(relayed, 'relayed')
    is_report('relayed', m, 'plain@example.test', 'relayed', r'2\.\d+\.\d+', 'rfc822; somebody@example.test')
    own = lambda: [t for t in ground.messages(billing) if passed in t and 'MAILER-DAEMON' in t]
    check('passed: a server with DSN is asked, and reports itself', wait_for(own, 20, 0.2) and
          not any(passed in t and 'the mail system of client.example.test' in t for t in ground.messages(billing)), own())
    m = there.find(utf8, 'failed')
    if is_report('utf8', m, 'plain@example.test', 'failed', r'5\.\d+\.\d+', r'utf-8; j\x{FC}@example.test'):
        raw = [t for t in there.texts() if b'x{FC}' in t][0]
        check('utf8: the report is ASCII, or the server would refuse it, too', not any(c > 127 for c in raw), raw)
        check('utf8: nobody at the server said so', not fields(m)[0]['Remote-MTA'] and fields(m)[0]['Diagnostic-Code'].startswith('x-frank; '), fields(m)[0].items())

    rows = lambda: [r for r in f.queue() if r.get('sender') == 'r550-deaf@example.test']
    check('nobody: the report is refused, and stays for a person', wait_for(lambda: [r for r in rows() if r.get('state') == 'failed'], 20, 0.2), f.queue())
    check('nobody: that is one report, and none of it', len(rows()) == 1 and deaf.stats()['messages'] == 0, (rows(), deaf.messages()))
    r = subprocess.run([program('mailq')], capture_output=True, text=True, env=f.env)
    check('nobody: mailq shows it', 'r550-deaf@example.test' in r.stdout, r.stdout)

    m = box.find(late, 'delayed', 30)
    if is_report('late', m, billing, 'delayed', r'4\.\d+\.\d+', 'rfc822; greylist@example.test'):
        check('late: until when it is tried', fields(m)[0]['Will-Retry-Until'] and 'Greylisted' in fields(m)[0]['Diagnostic-Code'], fields(m)[0].items())
    waiting = lambda: [r for r in f.queue() if r.get('sender') == 'gone@example.test']
    check('gone: no warning waits behind the mail that it is about', len(waiting()) == 1, (gone, f.queue()))
    m = box.find(late, 'failed', 40)
    if is_report('late', m, billing, 'failed', r'4\.4\.7', 'rfc822; greylist@example.test'):
        check('late: the words of the last try', 'Greylisted' in fields(m)[0]['Diagnostic-Code'], fields(m)[0].items())
        since = (parsedate_to_datetime(m['Date']) - parsedate_to_datetime(fields(m)[0]['Last-Attempt-Date'])).total_seconds()
        check('late: and when that was', since >= LIFETIME / 2, since)
    check('late: one warning and one bounce', box.count(late) == 2, box.count(late))
    check('quiet: a failure alone was asked for', box.find(quiet, 'failed', 30) and box.count(quiet) == 1, box.count(quiet))
    check('gone: its bounce waits for the server in its place', wait_for(lambda: [r for r in waiting() if 'report' in r.get('subject', '')] and len(waiting()) == 1, 20, 0.2), waiting())
    check('never: no report, and nothing is left', box.count(never) == 0 and 'its sender wants no report' in f.log() and [r['state'] for r in f.queue() if r not in waiting()] == ['failed'], f.queue())
    f.stop()
    plain.stop()
    deaf.stop()
