# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The functions of Debian's unattended-upgrade that send its report, with a report of ours."""
import importlib.machinery, importlib.util, io, sys
import apt_pkg

to = sys.argv[1]
loader = importlib.machinery.SourceFileLoader('unattended_upgrade', '/usr/bin/unattended-upgrade')
upgrade = importlib.util.module_from_spec(importlib.util.spec_from_loader('unattended_upgrade', loader))
loader.exec_module(upgrade)
apt_pkg.init_config()
apt_pkg.config.set('Unattended-Upgrade::Mail', f'{to}-sendmail@example.test')
upgrade.send_summary_mail(['one', 'two'], False, 'Grüße', {}, [], {}, io.StringIO('log\n'), 'from dpkg\n.\n')
assert upgrade._send_mail_using_mailx('root', f'{to}-mailx@example.test', 'by mailx', open('/opt/programs/body').read()) == 0
